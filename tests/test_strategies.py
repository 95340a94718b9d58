"""The strategies: legal calls, true to their rows; fixed arguments that hold; plain smallest cases."""

import itertools
import re
from pathlib import Path
from random import Random

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import refconv
from refconv import cover, features, strategies
from refconv.cover import triples_of
from refconv.dtypes import numpy_dtype
from refconv.spec import KINDS, OPERATIONS, Case
from refconv.strategies import PRIMES, Scope, cases, plan

# The first case takes long (a covering design is made for it), and some searches filter on purpose.
SEEDED = settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
CHANNEL_TAILS = (4, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65)


def build(op, row, scope, seed):
    """A case from one row, as the strategy builds it, without the operands; the row it really is."""
    make = (
        strategies._signal_case
        if op.rank == 0
        else strategies._pool_case
        if "pool" in op.kind
        else strategies._conv_case
    )
    row, scope = dict(row), features.suited(op, scope)
    shapes, arguments, terms = make(Random(seed), op, row, scope)
    return row, shapes, arguments, terms


def hollow(op, row, shapes, arguments):
    """A case without data."""
    operands = {name: np.broadcast_to(np.float32(0), shape) for name, shape in shapes.items()}
    return Case(op, operands, arguments, "float32", row["family"], row["layout"], tuple(sorted(row.items())))


# ------------------------------------------------------------------- measured from the call, not from the row


def claims_of_conv(case):
    """For each feature, the values of which it may be said that the call has them."""
    op, spec, w = case.operation, case.conv, case.operands["weight"].shape
    transposed = op.kind == "conv_transpose"
    kernel, n = w[2:], case.operands["input"].shape[2:]
    extent = spec.extent(kernel)
    c = case.operands["input"].shape[1]
    o = w[1] * spec.groups if transposed else w[0]
    out = {
        "stride": {stride_kind(spec.stride, kernel)},
        "dilation": {"1" if max(spec.dilation) == 1 else ">1"},
        "groups": groups_kinds(c, o, spec.groups),
        "padding": padding_kinds(case, spec.padding, extent, n),
        "kernel": kernel_kinds(kernel, extent, n),
        "size": size_kinds(n),
        "batch": batch_kind(len(case.operands["input"])),
        "channels": channel_kinds(c, o, spec.groups, kernel),
        "bias": {"yes" if "bias" in case.operands else "no"},
        "output padding": set(),
        "remainder": {"free"},
    }
    if transposed:
        out["output padding"] = {">0" if any(case.output_padding) else "0"}
    elif any(rest(n, spec.padding, extent, spec.stride)):
        out["remainder"].add("yes")
    return out


def rest(n, padding, extent, stride):
    return [(size + a + b - e) % s for size, (a, b), e, s in zip(n, padding, extent, stride, strict=True)]


def stride_kind(stride, kernel):
    if max(stride) == 1:
        return "1"
    return ">kernel" if any(s > k for s, k in zip(stride, kernel, strict=True)) else ">1"


def groups_kinds(c, o, groups):
    if groups == 1:
        return {"1"}
    if c > groups:
        return {"several"}
    return {"depthwise"} if o == groups else {"multiplier"}


def padding_kinds(case, padding, extent, n):
    if case.settings["padding"] == "same":
        return {"same"}
    out = {"none"} if not any(map(any, padding)) else set()
    axes = list(zip(padding, extent, n, strict=True))
    if any(a != b for (a, b), _, _ in axes):
        return {"one side"} if all(min(p) == 0 for p in padding) else {"uneven"}
    tests = {
        "symmetric": lambda p, e, size: p >= 1,
        "over half": lambda p, e, size: 2 * p > e > p,
        "beyond kernel": lambda p, e, size: p >= e,
        "beyond input": lambda p, e, size: p > size,
    }
    out |= {kind for kind, true in tests.items() if all(true(a, e, size) for (a, _), e, size in axes)}
    return out or {"symmetric"}


def kernel_kinds(kernel, extent, n):
    out = {"whole"} if extent == n else set()
    if set(kernel) == {1}:
        return out | {"1"}
    return (
        out
        | ({"odd"} if all(k % 2 for k in kernel) else set())
        | ({"even"} if any(k % 2 == 0 for k in kernel) else set())
    )


def size_kinds(n):
    kinds = {"one": (1,), "prime": PRIMES, "tail": strategies.LONG_TAILS}
    return {"small"} | {kind for kind, known in kinds.items() if set(n) & set(known)}


def batch_kind(batch):
    return {"0" if batch == 0 else "1" if batch == 1 else "many"}


def channel_kinds(c, o, groups, kernel):
    out = {"few"} if max(c, o) <= 24 and c // groups <= 4 else set()
    out |= {"one"} if c == o == 1 else set()
    out |= {"tail"} if {c, o, groups} & set(CHANNEL_TAILS) else set()
    out |= {"block"} if groups == 1 and c % 8 == o % 8 == 0 else set()
    return out | ({"long"} if c >= 33 and groups == 1 else set())


def claims_of_pool(case):
    spec, n = case.pool, case.operands["input"].shape[2:]
    out = {
        "stride": {"default" if "stride" not in case.arguments else stride_kind(spec.stride, spec.kernel_size)},
        "dilation": {"1" if max(spec.dilation) == 1 else ">1"},
        "padding": {"none"} if not any(map(any, spec.padding)) else {"symmetric"},
        "ceil_mode": {"yes" if spec.ceil_mode else "no"},
        "count_include_pad": {"yes" if spec.count_include_pad else "no"},
        "kernel": kernel_kinds(spec.kernel_size, spec.extent, n),
        "remainder": {"free"} | ({"yes"} if any(rest(n, spec.padding, spec.extent, spec.stride)) else set()),
        "size": size_kinds(n),
        "batch": batch_kind(len(case.operands["input"])),
    }
    if any(a != b for a, b in spec.padding):
        out["padding"] = {"uneven"}
    c = case.operands["input"].shape[1]
    out["channels"] = ({"one"} if c == 1 else set()) | ({"few"} if c <= 4 else {"tail"})
    return out


def claims_of_signal(case):
    n, m = case.operands["in1"].shape, case.operands["in2"].shape
    larger = "neither" if n == m else "in1" if all(a >= b for a, b in zip(n, m, strict=True)) else "in2"
    small, big = (m, n) if larger == "in1" else (n, m)
    return {
        "rank": {str(len(n))},
        "mode": {case.settings["mode"]},
        "kernel": kernel_kinds(small, (), None),
        "larger": {larger},
        "size": size_kinds(big),
    }


def mismatches(case):
    op = case.operation
    measure = claims_of_signal if op.rank == 0 else claims_of_pool if "pool" in op.kind else claims_of_conv
    found = measure(case)
    row = dict(case.features)
    assert row["family"] == case.family and row["layout"] == case.layout
    return {f: (v, found[f]) for f, v in row.items() if f in found and v != "fixed" and v not in found[f]}


def legal(case):
    """Every size is positive, apart from an empty batch."""
    sizes = [
        n for name, shape in case.shapes.items() if name != "grad_bias" for n in shape[2 * (case.operation.rank > 0) :]
    ]
    assert min(sizes, default=1) >= 1, case
    if case.operation.rank and "grad_output" in case.operands:
        size = case.conv.output_size if "conv" in case.operation.kind else case.pool.output_size
        x, w = case.operands["input"].shape[2:], case.operands.get("weight")
        assert case.operands["grad_output"].shape[2:] == (size(x, w.shape[2:]) if w is not None else size(x))
        assert min(case.operands["grad_output"].shape[2:]) >= 1


# --------------------------------------------------------------------------------------- every row of the design


@pytest.mark.parametrize("pairs", [False, True], ids=["even padding", "pairs"])
@pytest.mark.parametrize("name", OPERATIONS)
def test_every_row_can_be_realised(name, pairs):
    """Built from each row of the covering design: a legal call that has the features the row names."""
    op, scope = OPERATIONS[name], Scope(pairs=pairs)
    for i, row in enumerate(plan(op, scope).rows):
        found, shapes, arguments, _ = build(op, row, scope, i)
        assert found == row
        case = hollow(op, row, shapes, arguments)
        assert not mismatches(case), (row, case)
        legal(case)


def possible_triples(design):
    """Every combination of three features that no rule forbids."""
    for names in itertools.combinations(sorted(design.features), 3):
        for values in itertools.product(*(design.features[name] for name in names)):
            triple = dict(zip(names, values, strict=True))
            if design.feasible(triple):
                yield frozenset(triple.items())


@pytest.mark.parametrize("pairs", [False, True], ids=["even padding", "pairs"])
@pytest.mark.parametrize("name", [row[-1].name for row in KINDS.values()])
def test_every_triple_that_the_rules_allow_occurs_in_a_row(name, pairs):
    design = plan(name, Scope(pairs=pairs))
    missing = set(possible_triples(design)) - design.triples()
    assert not missing, [sorted(triple) for triple in missing]


@pytest.mark.parametrize("name", [row[0].name for row in KINDS.values()])
def test_rows_are_feasible_deterministic_and_the_plainest_comes_first(name):
    design = plan(name)
    assert design.rows[0] == design.plain() and design.feasible(design.plain())
    assert all(design.feasible(row) for row in design.rows)
    distances = [design.distance(row) for row in design.rows]
    assert distances == sorted(distances)
    assert cover.design.__wrapped__(plan(name)) == design.rows


# --------------------------------------------------------------------------------------------------- drawn cases


@pytest.mark.parametrize("pairs", [False, True], ids=["even padding", "pairs"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_drawn_case_is_legal_and_true_to_its_row(kind, pairs):
    """refconv itself takes every call that is drawn, and the call has the features it is said to have."""

    @settings(SEEDED, max_examples=25)
    @given(data=st.data())
    def judge(data):
        for op in KINDS[kind][:2]:
            case = data.draw(cases(op, Scope(pairs=pairs, dtypes=strategies.DTYPES)))
            legal(case)
            assert not mismatches(case)
            assert all(a.dtype == numpy_dtype(case.dtype) and a.flags.c_contiguous for a in case.operands.values())
            results = getattr(refconv, op.name)(*case.operands.values(), **case.arguments)
            results = results if isinstance(results, tuple) else (results,)
            assert [r.shape for r in results] == list(case.shapes.values())

    judge()


def test_most_rows_are_reached_by_drawing():
    """The generator does not keep to a corner of the design."""
    seen = set()

    @settings(SEEDED, max_examples=200)
    @given(case=cases("conv1d"))
    def draw(case):
        seen.update(triples_of(dict(case.features)))

    draw()
    assert len(seen) > 0.6 * len(plan("conv1d").triples())


PLAINEST = {
    "conv2d": "conv2d(input: float32[1, 1, 1, 1], weight: float32[1, 1, 1, 1]) [denseint, contiguous]",
    "conv_transpose1d": "conv_transpose1d(input: float32[1, 1, 1], weight: float32[1, 1, 1]) [denseint, contiguous]",
    "max_pool1d": "max_pool1d(input: float32[1, 1, 2], kernel_size=2) [ties, contiguous]",
    "avg_pool2d": "avg_pool2d(input: float32[1, 1, 2, 2], kernel_size=2) [denseint, contiguous]",
    "correlate": "correlate(in1: float32[2], in2: float32[1]) [denseint, contiguous]",
}


@pytest.mark.parametrize("name", PLAINEST)
def test_the_smallest_case_is_the_plainest(name):
    assert repr(find(name, lambda case: True)) == PLAINEST[name]


def find(name, wanted, scope=None):
    return hypothesis.find(cases(name, scope), wanted, settings=settings(SEEDED, max_examples=2000))


@pytest.mark.parametrize(
    ("name", "wanted", "most"),
    [
        ("conv2d", lambda c: max(c.conv.stride) > 1 and max(c.conv.dilation) > 1, 40),
        ("conv2d", lambda c: c.conv.groups > 1 and "bias" in c.operands, 40),
        ("conv1d", lambda c: c.operands["weight"].shape[2] > 3, 40),
        ("conv_transpose2d", lambda c: any(c.output_padding), 40),
        ("max_pool2d", lambda c: c.pool.ceil_mode and max(c.pool.dilation) > 1, 40),
        ("avg_pool1d", lambda c: not c.pool.count_include_pad, 12),
    ],
    ids=["stride and dilation", "groups and bias", "kernel", "output padding", "ceil and dilation", "padding out"],
)
def test_a_failing_case_shrinks_to_few_numbers(name, wanted, most):
    case = find(name, wanted)
    assert sum(a.size for a in case.operands.values()) <= most, case


def test_cases_are_built_and_never_filtered():
    source = Path(strategies.__file__).read_text()
    assert not re.search(r"\bassume\(|\.filter\(|\breject\(", source)


# ------------------------------------------------------------------------------------------------ fixed arguments

FIXED = [
    {"kernel_size": 3},
    {"kernel_size": 2},
    {"kernel_size": 1},
    {"kernel_size": 1, "stride": 2},
    {"stride": 1},
    {"stride": 2},
    {"stride": 4},
    {"padding": 0},
    {"padding": 1},
    {"padding": "same"},
    {"dilation": 1},
    {"dilation": 3},
    {"groups": 1},
    {"groups": 3},
    {"input_size": 1},
    {"input_size": 2},
    {"input_size": 7},
    {"input_size": 30},
    {"batch": 1},
    {"batch": 40},
    {"in_channels": 6},
    {"out_channels": 6},
    {"in_channels": 4, "groups": 4},
    {"in_channels": 4, "out_channels": 8, "groups": 4},
    {"in_channels": 6, "out_channels": 4, "groups": 2},
    {"ceil_mode": True},
    {"ceil_mode": False},
    {"count_include_pad": False},
    {"output_padding": 0},
    {"output_padding": 1},
    {"output_padding": 2},
    {"output_padding": 1, "stride": 2},
    {"output_padding": 1, "stride": 1},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 5, "padding": "same", "in_channels": 2},
    {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 1, "groups": 1, "input_size": 8},
    {"kernel_size": 3, "input_size": 2},
    {"kernel_size": 4, "input_size": 8, "batch": 3, "in_channels": 5, "out_channels": 2},
]


def holds(case, name, value):
    """Whether a fixed argument is that of the call."""
    op, rank = case.operation, case.operation.rank
    wide = tuple(value) if isinstance(value, tuple) else (value,) * rank
    x = case.operands["input"].shape
    pool = "pool" in op.kind
    if name == "input_size":
        return x[2:] == wide
    if name == "batch":
        return x[0] == value
    if name in ("ceil_mode", "count_include_pad"):
        return case.settings[name] == value
    if pool:
        if name in ("in_channels", "out_channels"):
            return x[1] == value
        found = {"padding": case.pool.padding, "dilation": case.pool.dilation, "stride": case.pool.stride}
        found["kernel_size"] = case.pool.kernel_size
    else:
        w, spec = case.operands["weight"].shape, case.conv
        transposed = op.kind == "conv_transpose"
        if name in ("in_channels", "out_channels"):
            return value == (x[1] if name == "in_channels" else w[1] * spec.groups if transposed else w[0])
        if name == "groups":
            return spec.groups == value
        if value == "same":
            return case.settings["padding"] == "same"
        found = {"padding": spec.padding, "dilation": spec.dilation, "stride": spec.stride, "kernel_size": w[2:]}
        found["output_padding"] = case.output_padding if transposed else None
    return found[name] == (tuple((p, p) for p in wide) if name == "padding" else wide)


def any_row(design, seed):
    """A feasible row, not one of the design's."""
    chooser = Random(seed)
    return cover._complete(design, {}, {}, cover._bits(design), chooser) or design.plain()


PADDED_SAME = ("conv", "conv_backward")  # the kinds that take padding="same"
HELD = [
    pytest.param(name, fix, id=f"{name}-{','.join(f'{k}={v}' for k, v in fix.items())}")
    for name in ("conv2d", "conv_transpose1d", "conv1d_backward", "max_pool2d", "avg_pool1d")
    for fix in FIXED
    if fix.get("padding") != "same" or OPERATIONS[name].kind in PADDED_SAME
]


@pytest.mark.parametrize(("name", "fix"), HELD)
def test_fixed_arguments_hold_in_every_case(name, fix):
    """Whatever else is drawn; the calls are legal and their features are those they are said to have."""
    op = OPERATIONS[name]
    known = features.suited(op, Scope(fix=fix)).fix
    for seed in range(16):
        scope = Scope(fix=fix, pairs=bool(seed % 2))
        found, shapes, arguments, _ = build(op, any_row(plan(op, scope), seed), scope, seed)
        case = hollow(op, found, shapes, arguments)
        assert all(holds(case, argument, value) for argument, value in known.items()), case
        assert not mismatches(case), (found, case)
        legal(case)


@pytest.mark.parametrize("name", OPERATIONS)
def test_fixed_arguments_that_an_operation_lacks_are_nothing_to_it(name):
    fix = {"kernel_size": 2, "groups": 1, "dilation": 2, "ceil_mode": True, "output_padding": 0, "batch": 2}
    case = find(name, lambda case: True, Scope(fix=fix))
    getattr(refconv, name)(*case.operands.values(), **case.arguments)


@pytest.mark.parametrize(
    ("fix", "words"),
    [
        ({"kernel_size": 5, "input_size": 2, "padding": 0}, "no output is left of `input_size`"),
        ({"padding": "same", "stride": 2}, "must be 1 there"),
    ],
)
def test_fixed_arguments_that_exclude_each_other_are_refused(fix, words):
    with pytest.raises(ValueError, match=re.escape(words)):
        find("conv1d", lambda case: True, Scope(fix=fix))
