"""Arguments normalised at the door, their error messages, and every output size by counting."""

import itertools

import numpy as np
import pytest
import scipy.signal

from refconv.spec import (
    KINDS,
    OPERATIONS,
    Case,
    ConvSpec,
    PoolSpec,
    conv_spec,
    full_output_size,
    pool_spec,
    transposed_spec,
)

torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")


def ident(call):
    return ",".join(map(str, call)) if isinstance(call, tuple) else str(call)


@pytest.mark.parametrize(
    ("arguments", "spec"),
    [
        ({}, ((1, 1), ((0, 0), (0, 0)), (1, 1), 1)),
        ({"stride": 2}, ((2, 2), ((0, 0), (0, 0)), (1, 1), 1)),
        ({"stride": (2, 3), "dilation": [1, 2]}, ((2, 3), ((0, 0), (0, 0)), (1, 2), 1)),
        ({"padding": 1, "groups": 4}, ((1, 1), ((1, 1), (1, 1)), (1, 1), 4)),
        ({"padding": (1, 2)}, ((1, 1), ((1, 1), (2, 2)), (1, 1), 1)),
        ({"padding": ((1, 2), (0, 3))}, ((1, 1), ((1, 2), (0, 3)), (1, 1), 1)),
        ({"padding": "valid", "stride": 2}, ((2, 2), ((0, 0), (0, 0)), (1, 1), 1)),
        ({"padding": "same"}, ((1, 1), ((1, 1), (1, 2)), (1, 1), 1)),
        ({"padding": "same_lower"}, ((1, 1), ((1, 1), (2, 1)), (1, 1), 1)),
        ({"padding": "same", "dilation": (1, 3)}, ((1, 1), ((1, 1), (4, 5)), (1, 3), 1)),
        ({"stride": np.int64(3)}, ((3, 3), ((0, 0), (0, 0)), (1, 1), 1)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_conv_arguments_are_normalised(arguments, spec):
    assert conv_spec(2, (3, 4), **arguments) == ConvSpec(*spec)


@pytest.mark.parametrize(
    ("arguments", "spec"),
    [
        ({"kernel_size": 3}, PoolSpec((3, 3), (3, 3), ((0, 0), (0, 0)), (1, 1))),
        ({"kernel_size": (4, 2), "stride": 1, "padding": (2, 1)}, PoolSpec((4, 2), (1, 1), ((2, 2), (1, 1)), (1, 1))),
        ({"kernel_size": 2, "padding": ((1, 0), (0, 1)), "ceil_mode": 1, "count_include_pad": 0},
         PoolSpec((2, 2), (2, 2), ((1, 0), (0, 1)), (1, 1), True, False)),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)  # fmt: skip
def test_pool_arguments_are_normalised(arguments, spec):
    assert pool_spec(2, **arguments) == spec


def test_transposed_arguments_are_normalised():
    assert transposed_spec(1, 3, 1, 2, 2, 1) == (ConvSpec((3,), ((1, 1),), (1,), 2), (2,))
    assert transposed_spec(1, output_padding=2, dilation=3)[1] == (2,)  # below the dilation, not the stride


BAD = [
    (conv_spec, {"stride": 0}, ValueError, "`stride` is 0, but must be an integer of at least 1"),
    (conv_spec, {"stride": (1, -1)}, ValueError, "`stride` is -1, but must be an integer of at least 1"),
    (conv_spec, {"stride": 1.5}, TypeError, "`stride` is 1.5, but must be an integer or a sequence of them"),
    (conv_spec, {"stride": True}, ValueError, "`stride` is True, but must be an integer"),
    (conv_spec, {"stride": (1, 1, 1)}, ValueError, "`stride` is (1, 1, 1) (3 values), but must be one integer or 2"),
    (conv_spec, {"stride": "2"}, TypeError, "`stride` is '2', but must be an integer"),
    (conv_spec, {"dilation": 0}, ValueError, "`dilation` is 0, but must be an integer of at least 1"),
    (conv_spec, {"groups": 0}, ValueError, "`groups` is 0, but must be an integer of at least 1"),
    (conv_spec, {"groups": None}, TypeError, "`groups` is None, but must be an integer"),
    (conv_spec, {"padding": -1}, ValueError, "`padding` is -1, but must be an integer of at least 0"),
    (conv_spec, {"padding": (1,)}, ValueError, "`padding` is (1,) (1 values), but must be one integer or 2 of them"),
    (conv_spec, {"padding": ((1, 2), 3)}, ValueError, "must hold one (before, after) pair for each of 2 axes"),
    (conv_spec, {"padding": ((1, 2),)}, ValueError, "must hold one (before, after) pair for each of 2 axes"),
    (conv_spec, {"padding": ((1, 2), (3, 4, 5))}, ValueError, "must hold one (before, after) pair"),
    (conv_spec, {"padding": ((1, 2), (3, -4))}, ValueError, "`padding` is -4"),
    (conv_spec, {"padding": "full"}, ValueError, "`padding` is 'full', but must be an integer, a tuple, pairs, 'same'"),
    (conv_spec, {"padding": "same", "stride": 2}, ValueError, "`padding` is 'same', but `stride` is 2: it must be 1"),
    (conv_spec, {"padding": "same_lower", "stride": (1, 2)}, ValueError, "`stride` is (1, 2): it must be 1 there"),
    (transposed_spec, {"padding": "same"}, ValueError, "pairs for a transposed convolution"),
    (
        transposed_spec,
        {"output_padding": 1},
        ValueError,
        "`output_padding` is 1, but must be smaller than `stride` (=1)",
    ),
    (transposed_spec, {"output_padding": (0, 3), "stride": 3}, ValueError, "or `dilation` (=1)"),
    (transposed_spec, {"output_padding": -1}, ValueError, "`output_padding` is -1"),
    (pool_spec, {"kernel_size": 0}, ValueError, "`kernel_size` is 0, but must be an integer of at least 1"),
    (pool_spec, {"kernel_size": 3, "padding": 2}, ValueError, "must be at most half of `kernel_size` (=3)"),
    (pool_spec, {"kernel_size": (4, 1), "padding": 1}, ValueError, "must be at most half of `kernel_size` (=(4, 1))"),
    (pool_spec, {"kernel_size": 2, "padding": ((0, 2), (0, 0))}, ValueError, "at most half"),
    (pool_spec, {"kernel_size": 2, "stride": 0}, ValueError, "`stride` is 0"),
]


@pytest.mark.parametrize(("call", "arguments", "error", "words"), BAD, ids=[f"{c.__name__}({a})" for c, a, *_ in BAD])
def test_bad_arguments_are_refused_with_the_value_and_the_rule(call, arguments, error, words):
    kernel = {"kernel_size": (3, 3)} if call is conv_spec else {}
    with pytest.raises(error) as caught:
        call(2, **kernel, **arguments)
    assert words in str(caught.value)


# ------------------------------------------------------------------------------------------- sizes by counting

AXES = list(itertools.product(range(1, 8), range(1, 5), (1, 2, 3), (1, 2, 3), ((0, 0), (1, 1), (0, 2), (3, 1))))


def places(n, k, s, d, pad):
    """How many times the dilated kernel can be laid inside the padded input, a stride apart."""
    return sum(start + d * (k - 1) < n + sum(pad) for start in range(0, n + sum(pad), s))


def test_conv_output_size_counts_the_places_of_the_kernel():
    for n, k, s, d, pad in AXES:
        assert ConvSpec((s,), (pad,), (d,)).output_size((n,), (k,)) == (places(n, k, s, d, pad),)


def test_conv_output_size_is_that_of_torch():
    for n, k, s, d, (a, b) in AXES:
        size = ConvSpec((s,), ((a, b),), (d,)).output_size((n,), (k,))
        if size != (0,):
            x = torch.nn.functional.pad(torch.zeros(1, 1, n), (a, b))
            y = torch.nn.functional.conv1d(x, torch.zeros(1, 1, k), stride=s, dilation=d)
            assert tuple(y.shape[2:]) == size


def test_padded_size_before_the_stride_is_n_minus_k_plus_p_plus_one():
    """Erratum 5: + p, with p the total padding, where 004 sec. 3.1 prints - p."""
    for n, k, s, d, pad in AXES:
        if s == d == 1 and n + sum(pad) >= k:
            assert ConvSpec((1,), (pad,), (1,)).output_size((n,), (k,)) == (n - k + sum(pad) + 1,)


def test_with_padding_k_minus_one_the_size_is_n_over_s_only_where_s_divides_n():
    """Erratum 7: floor((n + s - 1) / s) in general, as 003 has it."""
    for n, k, s in itertools.product(range(1, 20), range(1, 6), range(1, 5)):
        (size,) = ConvSpec((s,), (((k - 1) // 2, k // 2),), (1,)).output_size((n,), (k,))
        assert size == (n + s - 1) // s
        assert (size * s == n) == (n % s == 0)


def test_fifty_five_layers_of_5x5_bring_224_to_4():
    """SIZE: each takes four; (224 - 4) / 4 = 55."""
    size, layers = (224, 224), 0
    while size != (4, 4):
        size, layers = conv_spec(2, (5, 5)).output_size(size, (5, 5)), layers + 1
    assert layers == 55


@pytest.mark.parametrize(
    ("arguments", "size"),
    [({}, (2, 2)), ({"padding": 1}, (4, 4)), ({"padding": 1, "stride": (3, 2)}, (2, 2))],
    ids=["C5.1", "C6.3.1", "C6.3.2"],
)
def test_sizes_of_the_worked_examples(arguments, size):
    assert conv_spec(2, (2, 2), **arguments).output_size((3, 3), (2, 2)) == size


@pytest.mark.parametrize("word", ["same", "same_lower"])
def test_same_keeps_the_size_and_splits_the_padding(word):
    """Odd element after (SAME_UPPER, as torch) or before (SAME_LOWER, as 003 and 004: ceil(p / 2) before)."""
    for n, k, d in itertools.product(range(1, 7), range(1, 6), range(1, 4)):
        spec = conv_spec(1, (k,), padding=word, dilation=d)
        assert spec.output_size((n,), (k,)) == (n,)
        (before, after), total = spec.padding[0], d * (k - 1)
        least, most = total // 2, -(-total // 2)
        assert (before, after) == ((least, most) if word == "same" else (most, least))


@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_same_is_laid_as_torch_lays_it():
    x = torch.arange(1.0, 8).reshape(1, 1, 7)
    for k, d in itertools.product(range(1, 6), range(1, 4)):
        w = torch.arange(1.0, k + 1).reshape(1, 1, k)
        (pads,) = conv_spec(1, (k,), padding="same", dilation=d).padding
        padded = torch.nn.functional.conv1d(torch.nn.functional.pad(x, pads), w, dilation=d)
        assert torch.equal(torch.nn.functional.conv1d(x, w, padding="same", dilation=d), padded)


def test_transposed_output_size_is_that_of_torch_and_inverts_the_convolution():
    """Every size that the convolution maps to n is n's transposed size for one output padding below the stride."""
    for n, k, s, d, (a, b) in AXES:
        if a == b:
            spec = ConvSpec((s,), ((a, b),), (d,))
            for extra in range(max(s, d)):
                (size,) = spec.transposed_output_size((n,), (k,), (extra,))
                if size > 0:
                    y = torch.nn.functional.conv_transpose1d(
                        torch.zeros(1, 1, n), torch.zeros(1, 1, k), None, s, a, extra, 1, d
                    )
                    assert y.shape[2] == size
            for size in range(1, 40):
                if spec.output_size((size,), (k,)) == (n,):
                    assert size - spec.transposed_output_size((n,), (k,), (0,))[0] in range(s)


def windows(n, k, s, d, pad, ceil):
    """Windows that lie in the padded input; in ceil mode also the first that sticks out, if it starts within the
    input or its leading padding."""
    count = start = 0
    while start + d * (k - 1) < n + sum(pad):
        count, start = count + 1, start + s
    reaches = start - s + d * (k - 1) + 1 if count else 0  # cells that some window covers
    sticks_out = ceil and start < n + pad[0] and reaches < n + sum(pad)
    return count + (sticks_out and (count > 0 or d * (k - 1) + 1 - n - sum(pad) < s))


POOLS = [
    (n, k, s, d, (a, b))
    for n, k, s, d in itertools.product(range(1, 9), range(1, 6), range(1, 5), range(1, 4))
    for a, b in itertools.product(range(k // 2 + 1), repeat=2)
]


@pytest.mark.parametrize("ceil", [False, True], ids=["floor", "ceil"])
def test_pool_output_size_counts_windows(ceil):
    for n, k, s, d, pad in POOLS:
        assert PoolSpec((k,), (s,), (pad,), (d,), ceil).output_size((n,)) == (windows(n, k, s, d, pad, ceil),)


@pytest.mark.parametrize("ceil", [False, True], ids=["floor", "ceil"])
def test_pool_output_size_is_that_of_torch(ceil):
    for n, k, s, d, (a, b) in POOLS:
        size = PoolSpec((k,), (s,), ((a, b),), (d,), ceil).output_size((n,))
        if a == b and size != (0,):
            y = torch.nn.functional.max_pool1d(torch.zeros(1, 1, n), k, s, a, d, ceil)
            assert tuple(y.shape[2:]) == size
            if d == 1:
                y = torch.nn.functional.avg_pool1d(torch.zeros(1, 1, n), k, s, a, ceil)
                assert tuple(y.shape[2:]) == size


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
def test_full_output_size_is_that_of_scipy(mode):
    for shapes in itertools.product(range(1, 5), repeat=4):
        size1, size2 = shapes[:2], shapes[2:]
        try:
            got = scipy.signal.convolve(np.ones(size1), np.ones(size2), mode, method="direct").shape
        except ValueError:
            with pytest.raises(ValueError, match="neither"):
                full_output_size(size1, size2, mode)
            continue
        assert full_output_size(size1, size2, mode) == got


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (((3,), (2,), "Full"), "`mode` is 'Full', but must be one of full, same, valid"),
        (((3,), (2, 2), "full"), "`in1` has 1 axes and `in2` 2, but both must have the same number"),
        (((3, 2), (2, 3), "valid"), "neither (3, 2) nor (2, 3) is at least as large on every axis"),
    ],
    ids=ident,
)
def test_bad_signal_arguments_are_refused(call, words):
    with pytest.raises(ValueError) as caught:
        full_output_size(*call)
    assert words in str(caught.value)


# ----------------------------------------------------------------------------------------- operations and cases


def test_the_table_has_every_operation_of_the_contract():
    names = {f"{stem}{d}d" for stem in ("conv", "conv_transpose", "max_pool", "avg_pool") for d in (1, 2, 3)}
    names |= {f"{stem}{d}d_backward" for stem in ("conv", "max_pool", "avg_pool") for d in (1, 2, 3)}
    assert set(OPERATIONS) == names | {"convolve", "correlate"}
    assert sum(map(len, KINDS.values())) == len(OPERATIONS)
    assert all(OPERATIONS[name].forward == name.removesuffix("_backward") for name in OPERATIONS)


def case(name, operands, **arguments):
    return Case(OPERATIONS[name], {k: np.zeros(s, "float32") for k, s in operands.items()}, arguments, "float32")


CASES = [
    (case("conv2d", {"input": (2, 4, 5, 6), "weight": (6, 2, 3, 1)}, groups=2, padding=1), {"output": (2, 6, 5, 8)}),
    (case("conv_transpose1d", {"input": (2, 4, 3), "weight": (4, 3, 3)}, groups=2, stride=2), {"output": (2, 6, 7)}),
    (case("conv1d_backward", {"grad_output": (2, 4, 3), "input": (2, 3, 5), "weight": (4, 3, 3)}),
     {"grad_input": (2, 3, 5), "grad_weight": (4, 3, 3), "grad_bias": (4,)}),
    (case("max_pool2d", {"input": (1, 2, 5, 5)}, kernel_size=2, ceil_mode=True), {"output": (1, 2, 3, 3)}),
    (case("avg_pool1d_backward", {"grad_output": (1, 2, 2), "input": (1, 2, 5)}, kernel_size=2),
     {"grad_input": (1, 2, 5)}),
    (case("correlate", {"in1": (5, 4), "in2": (2, 3)}, mode="valid"), {"output": (4, 2)}),
]  # fmt: skip


@pytest.mark.parametrize(("given", "shapes"), CASES, ids=[c.operation.name for c, _ in CASES])
def test_a_case_knows_the_shape_of_each_result(given, shapes):
    assert given.shapes == shapes


def test_a_case_reads_as_its_call():
    given = CASES[3][0]
    assert repr(given) == ("max_pool2d(input: float32[1, 2, 5, 5], kernel_size=2, ceil_mode=True) [given, contiguous]")
    assert given.settings["stride"] is None and given.settings["ceil_mode"] is True
    assert given.with_operands(input=np.ones((1, 1, 2, 2))).shapes == {"output": (1, 1, 1, 1)}
