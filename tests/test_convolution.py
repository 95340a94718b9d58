"""The public door: the documents' worked examples, agreement with PyTorch, and every way to be refused."""

import itertools

import ml_dtypes
import numpy as np
import pytest

from refconv import convolution
from refconv.algorithms import ALGORITHMS, algorithm, choose
from refconv.spec import ConvSpec, conv_spec, transposed_spec

METHODS = sorted(ALGORITHMS)
EXACT = [name for name in METHODS if name not in ("fft", "winograd")]

# X4 and W3 of the digest; 000, examples 24.2 to 24.6.
X4 = [[3, 2, 0, 1], [0, 2, 1, 2], [2, 0, 0, 3], [2, 3, 1, 2]]
W3 = [[2, 1, 2], [0, 0, 3], [0, 0, 2]]
X7 = [
    [3, 2, 0, 1, 0, 2, 1],
    [0, 2, 1, 2, 1, 2, 1],
    [2, 0, 0, 3, 0, 0, 2],
    [2, 3, 1, 0, 1, 1, 3],
    [2, 2, 1, 1, 0, 3, 1],
    [1, 1, 0, 0, 1, 2, 2],
    [2, 1, 0, 3, 2, 1, 1],
]
L_IMAGE = [[0, 0, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0], [0, 2, 2, 2]]
L_KERNEL = [[2, 0, 0], [2, 0, 0], [2, 2, 2]]
GREEN = [[3, 2, 0, 1], [2, 1, 0, 1], [1, 0, 2, 1], [2, 1, 0, 0]]
BLUE = [[4, 2, 0, 1], [0, 3, 1, 0], [3, 1, 0, 2], [2, 2, 0, 1]]
W_GREEN, W_BLUE = [[1, 0, 1], [0, 1, 0], [1, 0, 1]], [[1, 0, -1]] * 3
NINE, FOUR = np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2)
STRIPES = np.repeat([[1, 1, 0, 0, 0, 0, 1, 1]], 6, axis=0)

EXAMPLES = {  # label: channels of x, channels of w, arguments, result
    "C5.1": ([NINE], [FOUR], {}, [[19, 25], [37, 43]]),
    "C6.3.1": ([NINE], [FOUR], {"padding": 1}, [[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]]),
    "C6.3.2": ([NINE], [FOUR], {"padding": 1, "stride": (3, 2)}, [[0, 8], [6, 8]]),
    "C6.4.1": ([NINE, NINE + 1], [FOUR, FOUR + 1], {}, [[56, 72], [104, 120]]),
    "E24.2": ([X4], [W3], {}, [[11, 18], [6, 22]]),
    "E24.3": ([X4], [W3], {"padding": 1}, [[10, 2, 7, 0], [13, 11, 18, 1], [10, 6, 22, 4], [11, 7, 12, 3]]),
    "E24.4": ([X7], [W3], {"stride": 2}, [[11, 4, 11], [9, 6, 15], [8, 10, 13]]),
    "E24.5": ([L_IMAGE], [L_KERNEL], {}, [[4, 8], [8, 20]]),
    "E24.6": ([X4, GREEN, BLUE], [W3, W_GREEN, W_BLUE], {}, [[24, 25], [14, 30]]),
    "EDGE": ([STRIPES], [[[1, -1]]], {}, [[0, 1, 0, 0, 0, -1, 0]] * 6),
}


def whole(method, array):
    """The integers meant by a transform algorithm; of the others, the very numbers."""
    return array if method in EXACT else np.rint(array)


def draw(shape, seed=0, dtype="float64"):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype(dtype)


@pytest.mark.parametrize("method", [*METHODS, "auto"])
@pytest.mark.parametrize("label", EXAMPLES)
def test_the_documents_worked_examples(label, method):
    x, w, arguments, expected = EXAMPLES[label]
    call = [np.array([x], "float64"), np.array([w], "float64")]
    if method == "winograd" and "stride" in arguments:
        with pytest.raises(NotImplementedError, match="must be 1 on every axis"):
            convolution.conv2d(*call, method=method, **arguments)
    else:
        y = convolution.conv2d(*call, method=method, **arguments)
        assert np.array_equal(whole(method, y), [[expected]])


# rank, batch, groups, in and out channels of a group, input, kernel, stride, padding, dilation.
GRID = {
    "plain": (2, 2, 1, 3, 2, (6, 7), (3, 2), (1, 1), (0, 0), (1, 1)),
    "many tiles": (2, 1, 1, 2, 3, (19, 33), (3, 3), (1, 1), (1, 1), (1, 1)),
    "long kernel": (1, 2, 1, 2, 2, (40,), (11,), (1,), (3,), (1,)),
    "strided": (2, 1, 1, 2, 2, (9, 8), (3, 3), (2, 3), (1, 0), (1, 1)),
    "stride beyond the kernel": (1, 2, 1, 1, 2, (17,), (2,), (5,), (1,), (1,)),
    "dilated": (2, 1, 1, 2, 2, (9, 11), (3, 2), (1, 2), (2, 1), (2, 4)),
    "groups": (2, 2, 3, 2, 2, (5, 6), (2, 3), (1, 1), (1, 1), (1, 1)),
    "depthwise": (2, 2, 4, 1, 1, (7, 7), (3, 3), (1, 1), (1, 1), (1, 1)),
    "depthwise multiplier": (1, 2, 3, 1, 2, (9,), (3,), (2,), (1,), (1,)),
    "padding beyond the input": (2, 1, 1, 2, 1, (2, 3), (3, 2), (1, 1), (7, 5), (1, 1)),
    "pointwise": (3, 2, 1, 3, 2, (2, 3, 4), (1, 1, 1), (1, 1, 1), (0, 0, 0), (1, 1, 1)),
    "volume": (3, 2, 2, 2, 1, (5, 4, 6), (3, 2, 3), (1, 1, 1), (1, 0, 1), (1, 1, 1)),
    "volume, all at once": (3, 1, 2, 1, 2, (5, 6, 7), (2, 3, 2), (2, 1, 3), (1, 2, 0), (2, 1, 3)),
    "whole input": (2, 2, 1, 2, 3, (4, 5), (4, 5), (1, 1), (0, 0), (1, 1)),
    "empty batch": (2, 0, 1, 2, 3, (4, 5), (3, 3), (1, 1), (1, 1), (1, 1)),
    "rows left over": (1, 1, 1, 1, 1, (10,), (3,), (4,), (0,), (1,)),
}


def offered(name):
    """Every row with every method that does not refuse it; PyTorch has no transposed convolution of no image."""
    for label, row in GRID.items():
        rank, batch, groups, _, _, size, kernel, stride, padding, dilation = row
        spec = conv_spec(rank, kernel, stride, padding, dilation, groups)
        operation = name.format(rank)
        for method, entry in ALGORITHMS.items():
            refused = entry.refuses(operation, spec, size, kernel, np.dtype("float64"))
            if not refused and (batch or "transpose" not in name):
                yield pytest.param(row, method, id=f"{label}-{method}")


def operands(row):
    rank, batch, groups, channels, out, size, kernel, stride, padding, dilation = row
    x, w = draw((batch, groups * channels, *size), 1), draw((groups * out, channels, *kernel), 2)
    return rank, x, w, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


@pytest.mark.parametrize(("row", "method"), list(offered("conv{}d")))
def test_forward_agrees_with_pytorch(row, method):
    torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")
    rank, x, w, arguments = operands(row)
    bias = draw(w.shape[0], 3)
    expected = getattr(torch.nn.functional, f"conv{rank}d")(*map(torch.tensor, (x, w, bias)), **arguments)
    y = getattr(convolution, f"conv{rank}d")(x, w, bias, method=method, **arguments)
    assert np.array_equal(whole(method, y), expected.numpy())


@pytest.mark.parametrize(("row", "method"), list(offered("conv{}d_backward")))
def test_gradients_agree_with_pytorch(row, method):
    torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")
    rank, x, w, arguments = operands(row)
    tensors = [torch.tensor(a, requires_grad=True) for a in (x, w, np.zeros(w.shape[0]))]
    y = getattr(torch.nn.functional, f"conv{rank}d")(*tensors, **arguments)
    grad_output = draw(tuple(y.shape), 4)
    y.backward(torch.tensor(grad_output))
    grads = getattr(convolution, f"conv{rank}d_backward")(grad_output, x, w, method=method, **arguments)
    for grad, tensor in zip(grads, tensors, strict=True):
        assert np.array_equal(whole(method, grad), tensor.grad.numpy())


@pytest.mark.parametrize(("row", "method"), list(offered("conv_transpose{}d")))
def test_transposed_agrees_with_pytorch(row, method):
    torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")
    rank, x, w, arguments = operands(row)
    x = draw((x.shape[0], w.shape[0], *(3,) * rank), 5)
    extra = tuple(max(s, d) - 1 for s, d in zip(arguments["stride"], arguments["dilation"], strict=True))
    size = transposed_spec(rank, output_padding=extra, **arguments)[0].transposed_output_size(
        x.shape[2:], w.shape[2:], extra
    )
    if min(size) < 1:
        arguments["padding"] = 0
    bias = draw(w.shape[1] * arguments["groups"], 6)
    function = getattr(torch.nn.functional, f"conv_transpose{rank}d")
    expected = function(*map(torch.tensor, (x, w, bias)), output_padding=extra, **arguments)
    arguments["output_padding"] = extra
    y = getattr(convolution, f"conv_transpose{rank}d")(x, w, bias, method=method, **arguments)
    assert np.array_equal(whole(method, y), expected.numpy())


@pytest.mark.parametrize("method", METHODS)
def test_asymmetric_padding_is_a_border_of_zeros(method):
    x, w = draw((2, 2, 5, 6)), draw((3, 2, 3, 3), 1)
    pairs = ((0, 2), (4, 1))
    bordered = np.pad(x, ((0, 0), (0, 0), *pairs))
    expected = convolution.conv2d(bordered, w)
    assert np.array_equal(whole(method, convolution.conv2d(x, w, padding=pairs, method=method)), expected)
    g = draw(expected.shape, 2)
    if method == "winograd":
        return
    grad_input, grad_weight, _ = convolution.conv2d_backward(g, x, w, padding=pairs, method=method)
    full, full_weight, _ = convolution.conv2d_backward(g, bordered, w, method="direct")
    assert np.array_equal(whole(method, grad_input), full[:, :, :5, 4:10])
    assert np.array_equal(whole(method, grad_weight), full_weight)


@pytest.mark.parametrize("method", METHODS)
def test_complex_numbers_are_not_conjugated(method):
    x = draw((1, 2, 6)) + 1j * draw((1, 2, 6), 1)
    w = draw((2, 2, 3), 2) + 1j * draw((2, 2, 3), 3)
    expected = [
        [sum(w[o, c, r] * x[0, c, i + r] for c in range(2) for r in range(3)) for i in range(4)] for o in range(2)
    ]
    assert np.array_equal(whole(method, convolution.conv1d(x, w, method=method)), [expected])
    assert convolution.conv1d(x.astype("complex64"), w.astype("complex64"), method=method).dtype == "complex64"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("x", "w"), [((2, 0, 5), (3, 0, 2)), ((2, 2, 5), (0, 2, 2)), ((2, 1, 0), (1, 1, 2))])
def test_empty_axes_give_zeros(x, w, method):
    y = convolution.conv1d(np.ones(x), np.ones(w), padding=2, method=method)
    assert y.shape == (x[0], w[0], x[2] + 3)
    if method != "winograd":
        grads = convolution.conv1d_backward(y, np.ones(x), np.ones(w), padding=2, method=method)
        assert [g.shape for g in grads] == [x, w, w[:1]]
    assert (x[1] and x[2]) or not y.any()


def test_words_for_padding_and_the_odd_element():
    x, w = draw((1, 1, 6, 5)), draw((1, 1, 4, 2), 1)
    assert np.array_equal(convolution.conv2d(x, w, padding="same"), convolution.conv2d(x, w, padding=((1, 2), (0, 1))))
    lower = convolution.conv2d(x, w, padding=((2, 1), (1, 0)))
    assert np.array_equal(convolution.conv2d(x, w, padding="same_lower"), lower)
    assert np.array_equal(convolution.conv2d(x, w, padding="valid"), convolution.conv2d(x, w))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_modes_agree_with_pytorch(mode):
    torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")
    x, w = draw((2, 3, 5, 6)), draw((2, 3, 3, 3), 1)
    layer = torch.nn.Conv2d(3, 2, 3, padding=(2, 3), padding_mode=mode, bias=False, dtype=torch.float64)
    layer.weight.data = torch.tensor(w)
    y = convolution.conv2d(x, w, padding=(2, 3), padding_mode=mode)
    assert np.array_equal(y, layer(torch.tensor(x)).detach().numpy())


def test_bias_for_each_channel_or_each_output():
    x, w = draw((2, 1, 4)), draw((3, 1, 2), 1)
    y, each = convolution.conv1d(x, w), draw((3, 3), 2)
    assert np.array_equal(convolution.conv1d(x, w, [1.0, 2.0, 3.0]), y + np.array([[1], [2], [3]]))
    assert np.array_equal(convolution.conv1d(x, w, each), y + each)


def test_without_a_batch_the_axis_is_left_out():
    x, w = draw((2, 5, 5)), draw((2, 2, 3, 3), 1)
    assert np.array_equal(convolution.conv2d(x, w), convolution.conv2d(x[None], w)[0])
    assert np.array_equal(convolution.conv_transpose2d(x, w), convolution.conv_transpose2d(x[None], w)[0])


@pytest.mark.parametrize("dtype", ["float16", ml_dtypes.bfloat16])
def test_narentryformats_are_rounded_once_after_the_bias(dtype):
    x, w, bias = (draw(s, i).astype(dtype) for i, s in enumerate([(1, 40, 6), (2, 40, 3), (2,)]))
    wide = convolution.conv1d(*(a.astype("float32") for a in (x, w, bias)))
    y = convolution.conv1d(x, w, bias)
    assert y.dtype == dtype
    assert np.array_equal(y, wide.astype(dtype))


def test_a_narentryresult_beyond_the_largest_number_is_infinite():
    assert np.isposinf(convolution.conv1d(*[np.full((1, 1, 1), 60000, "float16")] * 2)).all()


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64", "uint64"])
def test_integers_are_exact_in_int64(dtype):
    x = np.full((1, 3, 4), 127, dtype)
    y = convolution.conv1d(x, x)
    assert y.dtype == "int64"
    assert y.tolist() == [[[127 * 127 * 12]]]


def test_integers_that_may_leave_int64_are_refused():
    big = np.full((1, 1, 1), 2**31)
    assert convolution.conv1d(big, big - 1).tolist() == [[[2**62 - 2**31]]]
    with pytest.raises(OverflowError, match=r"a sum of 2 products may reach 9223372036854775808, but must stay below"):
        convolution.conv1d(np.full((1, 2, 1), 2**31), np.full((1, 2, 1), 2**31))
    with pytest.raises(OverflowError, match="must stay below"):
        convolution.conv1d(big, big, np.array([2**62]))
    with pytest.raises(OverflowError, match="must stay below"):
        convolution.conv1d_backward(np.full((2, 1, 1), 2**62), np.ones((2, 1, 1), int), np.ones((1, 1, 1), int))
    with pytest.raises(OverflowError, match=r"`input` holds 9223372036854775808, but must be below 2\*\*63"):
        convolution.conv1d(np.full((1, 1, 1), 2**63, "uint64"), np.zeros((1, 1, 1), "uint64"))


@pytest.mark.parametrize("method", METHODS)
def test_operands_are_left_alone_and_results_are_fresh(method):
    """Read-only, negatively strided and transposed operands give the same; no result shares their memory."""
    x, w = draw((2, 2, 6, 5)), draw((2, 2, 1, 1), 1)
    expected = convolution.conv2d(x, w, method=method)
    for layout in (x, np.flip(np.flip(x).copy()), np.asfortranarray(x), np.repeat(x, 2, axis=-1)[..., ::2]):
        kept = layout.copy()
        layout.flags.writeable = False
        y = convolution.conv2d(layout, w, method=method)
        assert np.array_equal(y, expected)
        assert np.array_equal(layout, kept)
        assert y.flags.c_contiguous and y.flags.writeable and not np.shares_memory(y, layout)


def test_special_values_warn_of_nothing():
    x = np.array([[[np.inf, -np.inf, np.nan, 1e308, 1e308]]])
    for method in METHODS:
        convolution.conv1d(x, np.full((1, 1, 2), 10.0), method=method)


ONE, TWO = np.ones((1, 1, 4)), np.ones((1, 2, 4))
REFUSED = {
    "`groups` (=2) must divide `in_channels` (=3)": (ValueError, "conv1d", np.ones((1, 3, 4)), ONE, {"groups": 2}),
    "`groups` (=2) must divide `out_channels` (=1)": (ValueError, "conv1d", TWO, ONE, {"groups": 2}),
    "`weight` has shape (1, 1, 4), but its second axis must be in_channels / groups = 2 / 1 = 2": (
        ValueError,
        "conv1d",
        TWO,
        ONE,
        {},
    ),
    "`weight` has shape (1, 1, 4), but its first axis must be in_channels = 2": (
        ValueError,
        "conv_transpose1d",
        TWO,
        ONE,
        {},
    ),
    "kernel of size (7,) (dilation counted) is larger than the padded input of size (6,)": (
        ValueError,
        "conv1d",
        ONE,
        ONE,
        {"dilation": 2, "padding": 1},
    ),
    "`input` has shape (4,), but must have 3 axes": (ValueError, "conv1d", np.ones(4), ONE, {}),
    "`weight` has shape (4,), but must have 3 axes": (ValueError, "conv1d", ONE, np.ones(4), {}),
    "`weight` has kernel size (0,), but must be at least 1": (ValueError, "conv1d", ONE, np.ones((1, 1, 0)), {}),
    "`bias` has shape (2,), but must be (1,)": (ValueError, "conv1d", ONE, ONE, {"bias": np.ones(2)}),
    "`weight` is of dtype float32 and `input` of float64": (TypeError, "conv1d", ONE, ONE.astype("float32"), {}),
    "`input` is of dtype bool, but must be one of bfloat16, complex128": (TypeError, "conv1d", ONE > 0, ONE > 0, {}),
    "`stride` is 0, but must be an integer of at least 1": (ValueError, "conv1d", ONE, ONE, {"stride": 0}),
    "`padding_mode` is 'mirror', but must be one of circular, reflect, replicate, zeros": (
        ValueError,
        "conv1d",
        ONE,
        ONE,
        {"padding_mode": "mirror"},
    ),
    "`padding` is (4, 4) on an axis of size 4, but for 'reflect' must be smaller than that size": (
        ValueError,
        "conv1d",
        ONE,
        ONE,
        {"padding_mode": "reflect", "padding": 4},
    ),
    "`padding` is (5, 5) on an axis of size 4, but for 'circular' must be at most that size": (
        ValueError,
        "conv1d",
        ONE,
        ONE,
        {"padding_mode": "circular", "padding": 5},
    ),
    "`input` has size (0,), but `padding_mode` 'replicate' needs elements to repeat": (
        ValueError,
        "conv1d",
        ONE[..., :0],
        ONE,
        {"padding_mode": "replicate", "padding": 5},
    ),
    "`method` is 'fast', but must be one of auto, direct, fastest, fft, im2col, toeplitz, winograd": (
        ValueError,
        "conv1d",
        ONE,
        ONE,
        {"method": "fast"},
    ),
    "`input` of size (4,) gives an output of size (-1,), but both must be at least 1": (
        ValueError,
        "conv_transpose1d",
        ONE,
        ONE,
        {"padding": 4},
    ),
    "`method` 'winograd' cannot do this conv1d: `stride` is (2,), but must be 1 on every axis; methods that can: "
    "direct, fft, im2col, toeplitz": (NotImplementedError, "conv1d", ONE, ONE, {"stride": 2, "method": "winograd"}),
    "`method` 'fft' cannot do this conv1d: the transform needs floating-point numbers, not int64; methods that can: "
    "direct, im2col, toeplitz": (NotImplementedError, "conv1d", [[[1]]], [[[1]]], {"method": "fft"}),
}


@pytest.mark.parametrize("message", REFUSED)
def test_wrong_calls_are_refused_in_clear_words(message):
    error, name, x, w, arguments = REFUSED[message]
    with pytest.raises(error) as caught:
        getattr(convolution, name)(x, w, **arguments)
    assert message in str(caught.value)


@pytest.mark.parametrize("argument", ["stride", "dilation", "groups", "padding"])
@pytest.mark.parametrize("wrong", [True, 1.0, (1, True), (1.0, 1), ((1, 1), (1, 1.0))])
def test_what_is_remembered_of_a_call_is_not_taken_for_what_equals_it(argument, wrong):
    """Python holds 1, True and 1.0 to be the same key."""
    x, w = np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2))
    right = ((1, 1), (1, 1)) if argument == "padding" and isinstance(wrong, tuple) and wrong[0] == (1, 1) else 1
    convolution.conv2d(x, w, **{argument: right})
    with pytest.raises((TypeError, ValueError), match=f"`{argument}` is "):
        convolution.conv2d(x, w, **{argument: wrong})


def test_a_gradient_must_have_the_shape_of_the_output():
    with pytest.raises(ValueError, match=r"`grad_output` has shape \(1, 1, 4\), but must have the shape of the output"):
        convolution.conv1d_backward(ONE, ONE, ONE)
    with pytest.raises(ValueError, match=r"`input` has shape \(1, 4\), but must have 3 axes"):
        convolution.conv1d_backward(ONE, ONE[0], ONE)


def test_auto_takes_only_methods_with_the_error_of_direct_summation():
    spec = conv_spec(2, (3, 3))
    names = ("conv2d", "conv_transpose2d", "conv2d_backward")
    for name, channels, dtype in itertools.product(names, (1, 8), ("float32", "float64", "complex64", "int64")):
        chosen = choose(name, spec, ((1, 8, 9, 9), (8, channels, 3, 3)), np.dtype(dtype))
        assert algorithm(chosen).claim(name, spec, (9, 9), (3, 3)) == "direct"


def test_claims_name_the_class_of_error():
    spec = ConvSpec((1, 1), ((0, 0), (0, 0)), (1, 1))
    claim = algorithm("winograd").claim
    assert claim("conv2d", spec, (58, 58), (3, 3)) == "winograd(4,3)"
    assert claim("conv2d", spec, (58, 6), (3, 5)) == "winograd(4x2,3x5)"
    # The gradient has as many outputs as the convolution has inputs.
    assert claim("conv_transpose2d", spec, (16, 5), (3, 3)) == "winograd(4x2,3x3)"
    assert algorithm("fft").claim("conv2d", spec, (9, 9), (3, 3)) == "fft"


def test_the_registry_is_keyed_by_name_and_lists_what_it_holds():
    assert [row.name for row in ALGORITHMS.values()] == METHODS
    with pytest.raises(ValueError, match="must be one of auto, direct, fastest, fft, im2col, toeplitz, winograd"):
        algorithm("fastest")
