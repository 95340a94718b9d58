"""Hypothesis strategies for calls: a feature row from a covering design, then concrete numbers inside it.

Public: use `cases("conv2d")` in tests of your own. Every case is built to be legal, none is filtered; Hypothesis
shrinks each feature towards its plainest value and each number towards the smallest that the row allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from hypothesis import strategies as st

from refconv import families
from refconv.cover import Design, Row
from refconv.spec import OPERATIONS, Case, Operation, PoolSpec, Sizes, conv_spec, full_output_size, pool_spec

__all__ = ["DTYPES", "LAYOUTS", "Scope", "cases", "plan"]

DTYPES = ("float32", "float64", "float16", "bfloat16")
# How an operand's memory is arranged when it is handed over; `inset` lies inside a larger array of NaN.
LAYOUTS = ("contiguous", "transposed", "strided", "inset", "read-only", "reversed")
BUDGET = 300_000  # multiply-adds of one case, roughly
LONG = 4608  # terms of a long reduction: 512 channels under a 3x3 kernel
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23)
TAILS = (3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65)

Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Scope:
    """Which calls are drawn: dtypes, arguments held fast, and whether uneven padding may be passed as pairs."""

    dtypes: Sequence[str] = ("float32", "float64")
    fix: Mapping[str, Any] = field(default_factory=dict)
    pairs: bool = False
    families: Sequence[str] = ()  # empty: all that suit the operation
    layouts: Sequence[str] = LAYOUTS
    bias: bool = True
    empty: bool = True  # whether a batch may be empty


_PRODUCT_FAMILIES = (
    "denseint",
    "sparse4",
    "asymX",
    "asymW",
    "normal",
    "positive",
    "coherent",
    "heavy",
    "subnormal",
    "impulse",
)
_SUM_FAMILIES = ("denseint", "normal", "positive", "heavy", "subnormal", "impulse")
_MAX_FAMILIES = ("ties", "normal", "negative", "heavy", "subnormal", "impulse")

_CONV_FEATURES = {
    "stride": ("1", ">1", ">kernel"),
    "dilation": ("1", ">1"),
    "groups": ("1", "several", "depthwise", "multiplier"),
    "padding": ("none", "symmetric", "same", "over half", "beyond kernel", "beyond input", "one side", "uneven"),
    "output padding": ("0", ">0"),
    "kernel": ("1", "odd", "even", "whole"),
    "remainder": ("free", "yes"),
    "size": ("small", "one", "prime", "tail"),
    "batch": ("1", "many", "0"),
    "channels": ("few", "one", "tail", "long"),
    "bias": ("no", "yes"),
}
_CONV_NEVER: list[dict[str, tuple[str, ...]]] = [
    {"stride": (">1",), "kernel": ("1",)},  # a stride above a kernel of one is "> kernel"
    {"padding": ("same",), "stride": (">1", ">kernel")},
    {"padding": ("symmetric", "over half"), "kernel": ("1",)},  # there any padding is beyond the kernel
    {"kernel": ("whole",), "size": ("one", "prime", "tail")},
    {"kernel": ("whole",), "remainder": ("yes",)},
    {"size": ("one",), "remainder": ("yes",)},
    {"size": ("one",), "padding": ("none",), "kernel": ("odd", "even")},
    {"size": ("prime", "tail"), "padding": ("beyond input",)},
    {"remainder": ("yes",), "stride": ("1",)},
    {"channels": ("one",), "groups": ("several", "depthwise", "multiplier")},
    {"channels": ("long",), "groups": ("several", "depthwise", "multiplier")},
    {"channels": ("long",), "size": ("tail", "prime")},
    {"channels": ("long",), "padding": ("beyond input", "beyond kernel")},
    {"output padding": (">0",), "stride": ("1",), "dilation": ("1",)},
    {"output padding": (">0",), "stride": ("1",), "kernel": ("1",)},
]
_TRANSPOSED_NEVER: list[dict[str, tuple[str, ...]]] = [
    {"size": ("one",), "padding": ("over half", "beyond kernel")},
    {"size": ("one",), "padding": ("one side", "uneven"), "kernel": ("1",)},
]
_POOL_FEATURES = {
    "stride": ("default", "1", ">1", ">kernel"),
    "dilation": ("1", ">1"),
    "padding": ("none", "symmetric", "uneven"),
    "ceil_mode": ("no", "yes"),
    "count_include_pad": ("yes", "no"),
    "kernel": ("even", "odd", "1", "whole"),
    "remainder": ("free", "yes"),
    "size": ("small", "one", "prime", "tail"),
    "batch": ("1", "many", "0"),
    "channels": ("one", "few", "tail"),
}
_POOL_NEVER: list[dict[str, tuple[str, ...]]] = [
    {"kernel": ("1",), "padding": ("symmetric", "uneven")},
    {"kernel": ("1",), "stride": (">1",)},
    {"kernel": ("1",), "stride": ("default",), "remainder": ("yes",)},
    {"kernel": ("whole",), "size": ("one", "prime", "tail")},
    {"kernel": ("whole",), "remainder": ("yes",)},
    {"size": ("one",), "remainder": ("yes",)},
    {"size": ("one",), "kernel": ("odd", "even")},
    {"remainder": ("yes",), "stride": ("1",)},
    {"kernel": ("even",), "padding": ("uneven",), "dilation": (">1",)},
]
_SIGNAL_FEATURES = {
    "rank": ("1", "2", "3"),
    "mode": ("full", "same", "valid"),
    "kernel": ("1", "odd", "even"),
    "larger": ("in1", "in2", "neither"),
    "size": ("small", "prime", "tail"),
}
_SIGNAL_NEVER: list[dict[str, tuple[str, ...]]] = [
    {"rank": ("3",), "size": ("tail",)},
    {"larger": ("neither",), "size": ("prime", "tail")},
]


def plan(operation: Operation | str, scope: Scope | None = None) -> Design:
    """The covering design of an operation: its features with their values, and what cannot be combined.

    >>> plan("conv2d").features["groups"]
    ('1', 'several', 'depthwise', 'multiplier')
    """
    op = OPERATIONS[operation] if isinstance(operation, str) else operation
    scope = scope or Scope()
    data = {"family": _families(op, scope), "layout": tuple(scope.layouts)}
    if op.kind in ("convolve", "correlate"):
        return Design({**_SIGNAL_FEATURES, **data}, _SIGNAL_NEVER)
    if "pool" in op.kind:
        features: dict[str, Sequence[str]] = {**_POOL_FEATURES, **data}
        features.pop("dilation" if op.kind.startswith("avg") else "count_include_pad")
        if not scope.pairs:
            features["padding"] = _POOL_FEATURES["padding"][:2]
        return _fixed(Design(features, _POOL_NEVER), op, scope)
    features = {**_CONV_FEATURES, **data}
    never = list(_CONV_NEVER)
    if not scope.pairs:
        features["padding"] = tuple(v for v in features["padding"] if v not in ("one side", "uneven"))
    if op.kind == "conv_transpose":
        features["padding"] = tuple(v for v in features["padding"] if v not in ("same", "beyond input"))
        never += _TRANSPOSED_NEVER
    else:
        features.pop("output padding")
    if op.kind == "conv_backward" or not scope.bias:
        features.pop("bias")
    if not scope.empty:
        features["batch"] = ("1", "many")
    return _fixed(Design(features, never), op, scope)


def _families(op: Operation, scope: Scope) -> tuple[str, ...]:
    suited: tuple[str, ...] = _PRODUCT_FAMILIES
    if "pool" in op.kind:
        suited = _SUM_FAMILIES if op.kind.startswith("avg") else _MAX_FAMILIES
    chosen = tuple(f for f in suited if not scope.families or f in scope.families)
    return chosen or tuple(scope.families)


# Values of a feature that an argument held fast leaves possible.
_FIX_RULES: dict[str, Callable[[Any], tuple[str, tuple[str, ...]]]] = {
    "stride": lambda v: ("stride", ("1",) if _all_one(v) else (">1", ">kernel")),
    "dilation": lambda v: ("dilation", ("1",) if _all_one(v) else (">1",)),
    "groups": lambda v: ("groups", ("1",) if v == 1 else ("several",)),
    "kernel_size": lambda v: ("kernel", ("1",) if _all_one(v) else (("odd",) if _odd(v) else ("even",))),
    "ceil_mode": lambda v: ("ceil_mode", ("yes",) if v else ("no",)),
    "count_include_pad": lambda v: ("count_include_pad", ("yes",) if v else ("no",)),
    "output_padding": lambda v: ("output padding", (">0",) if v else ("0",)),
}


def _all_one(value: Any) -> bool:
    return all(v == 1 for v in (value if isinstance(value, Sequence) else (value,)))


def _odd(value: Any) -> bool:
    return all(v % 2 for v in (value if isinstance(value, Sequence) else (value,)))


def _fixed(base: Design, op: Operation, scope: Scope) -> Design:
    features = dict(base.features)
    for name, value in scope.fix.items():
        if name in _FIX_RULES:
            feature, kept = _FIX_RULES[name](value)
            if feature in features:
                features[feature] = tuple(v for v in features[feature] if v in kept) or kept
    if "padding" in scope.fix:
        features["padding"] = ("fixed",)
    if "input_size" in scope.fix:
        features["size"], features["remainder"] = ("fixed",), ("free",)
    if op.kind.startswith(("conv", "max", "avg")) and "kernel_size" in scope.fix and "padding" in features:
        features["size"] = tuple(v for v in features["size"] if v != "one") or features["size"]
    never = [{f: tuple(v) for f, v in rule.items()} for rule in base.never]
    return Design(features, never)


# ------------------------------------------------------------------------------------------------- cases


def cases(operation: Operation | str, scope: Scope | None = None) -> st.SearchStrategy[Case]:
    """Legal calls of one operation.

    >>> from hypothesis import find
    >>> find(cases("conv2d"), lambda case: True)
    conv2d(input: float32[1, 1, 1, 1], weight: float32[1, 1, 1, 1]) [denseint, contiguous]
    """
    op = OPERATIONS[operation] if isinstance(operation, str) else operation
    return _case(op, scope or Scope())


def _case(op: Operation, scope: Scope) -> st.SearchStrategy[Case]:
    build = _signal_case if op.rank == 0 else _pool_case if "pool" in op.kind else _conv_case
    layout_plan = plan(op, scope)

    @st.composite
    def strategy(draw: Draw) -> Case:
        row = _row(draw, layout_plan)
        dtype = draw(st.sampled_from(tuple(scope.dtypes)))
        shapes, arguments, terms = build(draw, op, row, scope)
        seed = draw(st.integers(0, 2**16))
        operands = families.fill(row["family"], shapes, families.Room(dtype, terms), seed)
        return Case(op, operands, arguments, dtype, row["family"], row["layout"], tuple(sorted(row.items())))

    return strategy()


def _row(draw: Draw, design: Design) -> Row:
    """A row of the design; each feature may fall back to its plainest value, rarely drawn, often shrunk to."""
    rows = design.rows
    row, plain = rows[draw(st.integers(0, len(rows) - 1))], design.plain()
    for name in row:
        if row[name] != plain[name] and draw(st.integers(0, 31)) == 0:
            simpler = {**row, name: plain[name]}
            row = simpler if design.feasible(simpler) else row
    return row


def _int(draw: Draw, low: int, high: int) -> int:
    return int(draw(st.integers(low, max(low, high))))


def _fix(scope: Scope, name: str, rank: int) -> Sizes | None:
    value = scope.fix.get(name)
    if value is None:
        return None
    return tuple(value) if isinstance(value, Sequence) else (int(value),) * rank


def _short(values: Sequence[int]) -> Any:
    """(2, 2) -> 2, as most people write it; (2, 3) stays."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def _kernel(draw: Draw, row: Row, rank: int, scope: Scope, least: int = 1) -> Sizes:
    fixed = _fix(scope, "kernel_size", rank)
    if fixed:
        return fixed
    kind, large = row["kernel"], {1: 7, 2: 5, 3: 3}[rank]
    if kind == "1":
        return (1,) * rank
    if kind == "odd":
        return tuple(2 * _int(draw, 1, large // 2) + 1 for _ in range(rank))
    if kind == "even":
        first = max(2, least + least % 2)
        return tuple(2 * _int(draw, first // 2, max(first // 2, (large + 1) // 2)) for _ in range(rank))
    return tuple(_int(draw, max(2, least), max(3, least)) for _ in range(rank))


def _strides(draw: Draw, row: Row, kernel: Sizes, scope: Scope) -> Sizes:
    rank = len(kernel)
    fixed = _fix(scope, "stride", rank)
    if fixed:
        return fixed
    if row["stride"] == "1":
        return (1,) * rank
    uneven = row["remainder"] == "yes"
    if row["stride"] == ">kernel":
        wide = [k + _int(draw, 1, 2) for k in kernel]
        # an odd stride above 2 leaves a remainder at some prime and some tail
        return tuple(max(3, s + (s + 1) % 2) if uneven else s for s in wide)
    out = [_int(draw, 1, min(k, 3)) for k in kernel]
    lead = next((i for i, k in enumerate(kernel) if k > 1), 0)
    out[lead] = 3 if uneven else max(2, out[lead])
    return tuple(out)


def _dilations(draw: Draw, row: Row, rank: int, scope: Scope) -> Sizes:
    fixed = _fix(scope, "dilation", rank)
    if fixed:
        return fixed
    if row.get("dilation", "1") == "1":
        return (1,) * rank
    out = [_int(draw, 1, 3) for _ in range(rank)]
    out[-1] = max(2, out[-1])
    return tuple(out)


def _pads(draw: Draw, row: Row, extent: Sizes, n: int, axis: int) -> tuple[int, int]:
    """Padding of one axis; `n` is the input size it must exceed where it lies beyond the input."""
    e, kind = extent[axis], row["padding"]
    half = max(1, e // 2)
    if kind == "symmetric":
        return (p := _int(draw, 1, half), p)
    if kind == "over half":
        return (p := min(e - 1, _int(draw, e // 2 + 1, e - 1)), p) if e > 2 else (half, half)
    if kind == "beyond kernel":
        return (p := _int(draw, e, e + 1), p)
    if kind == "beyond input":
        p = max(n + 1, -(-(e - n) // 2))
        return (p, p)
    if kind == "one side":
        a = _int(draw, max(1, e - n), max(1, e - n) + 1)
        return (0, a) if draw(st.booleans()) else (a, 0)
    if kind == "uneven":
        low = max(0, e - n) // 2
        a = _int(draw, low, low + 1)
        return (a, max(e - n - a, a) + 1) if draw(st.booleans()) else (max(e - n - a, a) + 1, a)
    return (0, 0)


def _sizes(draw: Draw, row: Row, rank: int, scope: Scope) -> list[int]:
    """Input sizes before they are made to fit; the demanding one is the last axis."""
    fixed = _fix(scope, "input_size", rank)
    if fixed:
        return list(fixed)
    small = {1: 8, 2: 5, 3: 3}[rank]
    out = [_int(draw, 1, small) for _ in range(rank)]
    if row["size"] == "one":
        out[-1] = 1
    elif row["size"] == "prime":
        out[-1] = draw(st.sampled_from(PRIMES[: 9 if rank < 3 else 6]))
    elif row["size"] == "tail":
        out[-1] = draw(st.sampled_from(TAILS if rank < 3 else TAILS[:8]))
    return out


def _fit(n: int, least: int, row: Row, room: int, stride: int, axis_is_last: bool) -> int:
    """The smallest size from n on (of its kind: prime, tail) that the kernel fits, with a remainder if asked for.

    `room` is padding minus extent: the kernel slides over n + room cells.
    """
    kinds = {"prime": PRIMES, "tail": TAILS}
    values: Sequence[int] = range(max(n, least), max(n, least) + 2 * stride + 1)
    if axis_is_last and row["size"] in kinds:
        known = [v for v in kinds[row["size"]] if v >= max(n, least)]
        values = known or [v for v in kinds[row["size"]] if v >= least] or [max(n, least)]
    if axis_is_last and row["remainder"] == "yes":
        wanted = [v for v in values if (v + room) % stride]
        values = wanted or [v for v in kinds.get(row["size"], values) if v >= least and (v + room) % stride] or values
    return values[0]


def _padding_argument(draw: Draw, pads: Sequence[tuple[int, int]]) -> Any:
    if all(a == b for a, b in pads):
        return _short([a for a, _ in pads])
    return tuple(pads)


def _channels(draw: Draw, row: Row, taps: int, scope: Scope) -> tuple[int, int, int]:
    """(in channels, out channels, groups)."""
    kind = row["channels"]
    if "in_channels" in scope.fix:
        groups = int(scope.fix.get("groups", 1))
        return int(scope.fix["in_channels"]), groups * int(scope.fix.get("out_channels", groups)) // groups, groups
    if kind == "long":
        return max(1, LONG // taps), _int(draw, 1, 2), 1
    tails = (4, 7, 8, 9, 15, 16, 17, 31, 33)
    if row["groups"] == "1":
        if kind == "tail":
            wide = draw(st.sampled_from(tails))
            return (wide, _int(draw, 1, 3), 1) if draw(st.booleans()) else (_int(draw, 1, 3), wide, 1)
        return (1, 1, 1) if kind == "one" else (_int(draw, 1, 4), _int(draw, 1, 4), 1)
    fixed = scope.fix.get("groups")
    groups = int(fixed) if fixed else (draw(st.sampled_from(tails)) if kind == "tail" else _int(draw, 2, 4))
    if row["groups"] == "several":
        return groups * _int(draw, 2, 3), groups * _int(draw, 1, 2), groups
    multiplier = 1 if row["groups"] == "depthwise" else _int(draw, 2, 3)
    return groups, groups * multiplier, groups


def _conv_case(draw: Draw, op: Operation, row: Row, scope: Scope) -> tuple[dict[str, Sizes], dict[str, Any], int]:
    rank, transposed = op.rank, op.kind == "conv_transpose"
    dilation = _dilations(draw, row, rank, scope)
    kernel = _kernel(draw, row, rank, scope, least=3 if row["padding"] == "over half" else 1)
    extent = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    stride = _strides(draw, row, kernel, scope)
    n = _sizes(draw, row, rank, scope)
    if row["kernel"] == "whole":
        n = list(extent)
    same = row["padding"] == "same"
    if same:
        pads = list(conv_spec(rank, kernel, 1, "same", dilation).padding)
    elif "padding" in scope.fix:
        pads = list(conv_spec(rank, kernel, 1, scope.fix["padding"], dilation).padding)
    else:
        pads = [_pads(draw, row, extent, size, i) for i, size in enumerate(n)]
    extra = (0,) * rank
    if transposed:
        extra = _output_padding(draw, row, stride, dilation, scope)
        n = _transposed_sizes(n, pads, extent, stride, extra)
    elif "input_size" not in scope.fix and row["kernel"] != "whole":
        for i in range(rank):
            room = sum(pads[i]) - extent[i]
            n[i] = _fit(n[i], max(1, -room), row, room, stride[i], i == rank - 1)
    c, o, groups = _channels(draw, row, prod(kernel), scope)
    batch = _batch(draw, row, scope)
    x = (batch, c, *n)
    w = (o, c // groups, *kernel) if not transposed else (c, o // groups, *kernel)
    arguments: dict[str, Any] = {}
    if any(s != 1 for s in stride):
        arguments["stride"] = _short(stride)
    if same:
        arguments["padding"] = "same"
    elif any(a or b for a, b in pads):
        arguments["padding"] = _padding_argument(draw, pads)
    if any(extra):
        arguments["output_padding"] = _short(extra)
    if any(d != 1 for d in dilation):
        arguments["dilation"] = _short(dilation)
    if groups != 1:
        arguments["groups"] = groups
    return _conv_shapes(op, row, x, w, conv_spec(rank, kernel, stride, pads, dilation, groups), arguments)


def _conv_shapes(
    op: Operation, row: Row, x: Sizes, w: Sizes, spec: Any, arguments: dict[str, Any]
) -> tuple[dict[str, Sizes], dict[str, Any], int]:
    x = _within_budget(op, x, w, spec)
    shapes: dict[str, Sizes] = {"input": x, "weight": w}
    terms = prod(w[1:])
    if op.kind == "conv_transpose":
        terms = w[0] // spec.groups * prod(w[2:])
    if op.kind == "conv_backward":
        out = (x[0], w[0], *spec.output_size(x[2:], w[2:]))
        shapes = {"grad_output": out, **shapes}
        terms = max(w[0] // spec.groups * prod(w[2:]), out[0] * prod(out[2:]), 1)
    if row.get("bias") == "yes":
        channels = w[0] if op.kind == "conv" else w[1] * spec.groups
        shapes["bias"] = (channels,)
    return shapes, arguments, terms


def _within_budget(op: Operation, x: Sizes, w: Sizes, spec: Any) -> Sizes:
    """The batch cut down until the call costs no more than the budget."""
    positions = prod(spec.output_size(x[2:], w[2:])) if op.kind != "conv_transpose" else prod(x[2:])
    cost = max(1, prod(w) * positions)
    return (min(x[0], max(1, BUDGET // cost)), *x[1:])


def _output_padding(draw: Draw, row: Row, stride: Sizes, dilation: Sizes, scope: Scope) -> Sizes:
    fixed = _fix(scope, "output_padding", len(stride))
    if fixed:
        return fixed
    if row["output padding"] == "0":
        return (0,) * len(stride)
    most = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
    out = [_int(draw, 0, m) if m else 0 for m in most]
    if not any(out):
        where = max(range(len(most)), key=lambda i: most[i])
        out[where] = most[where]
    return tuple(out)


def _transposed_sizes(
    n: list[int], pads: Sequence[tuple[int, int]], extent: Sizes, stride: Sizes, extra: Sizes
) -> list[int]:
    """Sizes for which the transposed convolution has at least one output."""
    least = [
        max(1, -((e + o - 1 - a - b) // s) + 1) if e + o - 1 < a + b else 1
        for (a, b), e, s, o in zip(pads, extent, stride, extra, strict=True)
    ]
    return [max(size, low) for size, low in zip(n, least, strict=True)]


def _batch(draw: Draw, row: Row, scope: Scope) -> int:
    if "batch" in scope.fix:
        return int(scope.fix["batch"])
    if row["batch"] == "many":
        return int(draw(st.sampled_from((2, 3, 5, 9, 17))))
    return 0 if row["batch"] == "0" else 1


def _pool_case(draw: Draw, op: Operation, row: Row, scope: Scope) -> tuple[dict[str, Sizes], dict[str, Any], int]:
    rank = op.rank
    dilation = _dilations(draw, row, rank, scope)
    kernel = _kernel(draw, row, rank, scope)
    if row["padding"] == "uneven":
        kernel = tuple(max(2, k) for k in kernel)
    stride = kernel if row["stride"] == "default" and "stride" not in scope.fix else _strides(draw, row, kernel, scope)
    extent = tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))
    n = list(extent) if row["kernel"] == "whole" else _sizes(draw, row, rank, scope)
    pads = [_pool_pads(draw, row, k) for k in kernel]
    if "padding" in scope.fix:
        pads = list(conv_spec(rank, kernel, 1, scope.fix["padding"]).padding)
    if "input_size" not in scope.fix and row["kernel"] != "whole":
        for i in range(rank):
            room = sum(pads[i]) - extent[i]
            # a dilated window must not miss the image: the input is at least as large as the gaps
            least = max(1, -room, dilation[i])
            n[i] = _fit(n[i], least, row, room, stride[i], i == rank - 1)
    arguments: dict[str, Any] = {"kernel_size": _short(kernel)}
    if row["stride"] != "default" or "stride" in scope.fix:
        arguments["stride"] = _short(stride)
    if any(a or b for a, b in pads):
        arguments["padding"] = _padding_argument(draw, pads)
    if any(d != 1 for d in dilation):
        arguments["dilation"] = _short(dilation)
    if row["ceil_mode"] == "yes":
        arguments["ceil_mode"] = True
    if row.get("count_include_pad") == "no":
        arguments["count_include_pad"] = False
    channels = {"one": (1, 1), "few": (1, 4), "tail": (7, 9)}[row["channels"]]
    x = (_batch(draw, row, scope), _int(draw, *channels), *n)
    return _pool_shapes(op, x, pool_spec(rank, **arguments), arguments)


def _pool_shapes(
    op: Operation, x: Sizes, spec: PoolSpec, arguments: dict[str, Any]
) -> tuple[dict[str, Sizes], dict[str, Any], int]:
    out = spec.output_size(x[2:])
    batch = min(x[0], max(1, BUDGET // max(1, prod(x[1:2]) * prod(out) * prod(spec.kernel_size))))
    x = (batch, *x[1:])
    shapes: dict[str, Sizes] = {"input": x}
    if op.kind.endswith("backward"):
        shapes = {"grad_output": (*x[:2], *out), **shapes}
    return shapes, arguments, prod(spec.kernel_size)


def _pool_pads(draw: Draw, row: Row, k: int) -> tuple[int, int]:
    if row["padding"] == "symmetric" and k > 1:
        return (p := _int(draw, 1, k // 2), p)
    if row["padding"] == "uneven":
        a = _int(draw, 0, k // 2 - 1)
        return (a, k // 2) if draw(st.booleans()) else (k // 2, a)
    return (0, 0)


def _signal_case(draw: Draw, op: Operation, row: Row, scope: Scope) -> tuple[dict[str, Sizes], dict[str, Any], int]:
    rank = int(row["rank"])
    large = {1: 7, 2: 5, 3: 3}[rank]
    if row["kernel"] == "1":
        small = [1] * rank
    else:
        small = [2 * _int(draw, 1, large // 2) + (row["kernel"] == "odd") for _ in range(rank)]
    if row["larger"] == "neither":
        first, second = list(small), list(small)
    else:
        big = [k + _int(draw, 0, 4) for k in small]
        if row["size"] == "prime":
            big[-1] = _fit_from(PRIMES, small[-1], draw)
        elif row["size"] == "tail":
            big[-1] = _fit_from(TAILS, small[-1], draw)
        first, second = (big, small) if row["larger"] == "in1" else (small, big)
    arguments = {} if row["mode"] == "full" else {"mode": row["mode"]}
    full_output_size(tuple(first), tuple(second), row["mode"])
    terms = prod(min(a, b) for a, b in zip(first, second, strict=True))
    return {"in1": tuple(first), "in2": tuple(second)}, arguments, terms


def _fit_from(values: Sequence[int], least: int, draw: Draw) -> int:
    return int(draw(st.sampled_from([v for v in values if v >= least])))
