"""Hypothesis strategies for calls: a feature row from a covering design, then concrete numbers inside it.

Public: use `cases("conv2d")` in tests of your own. Every case is built to be legal, none is filtered; Hypothesis
shrinks each feature towards its plainest value and each number towards the smallest that the row allows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import prod
from random import Random
from typing import Any

from hypothesis import strategies as st

from refconv import families
from refconv.cover import Design, Row
from refconv.draws import chooser
from refconv.features import (
    DTYPES,
    LAYOUTS,
    LONG,
    Scope,
    all_odd,
    all_one,
    groupings,
    held,
    plan,
    suited,
)
from refconv.spec import OPERATIONS, Case, Operation, PoolSpec, Sizes, conv_spec, full_output_size, pool_spec

__all__ = ["DTYPES", "LAYOUTS", "Scope", "cases", "plan"]

BUDGET = 300_000  # multiply-adds of one case, roughly
PRIMES = (2, 3, 5, 7, 11, 13, 17, 19, 23, 29, 31)
TAILS = (3, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 65)
LONG_TAILS = (*TAILS, 127, 128, 129, 257)  # where there is one axis

Draw = Callable[[st.SearchStrategy[Any]], Any]
Build = Callable[[Random, Operation, Row, Scope], tuple[dict[str, Sizes], dict[str, Any], int]]


# ------------------------------------------------------------------------------------------------- cases


def cases(operation: Operation | str, scope: Scope | None = None) -> st.SearchStrategy[Case]:
    """Legal calls of one operation.

    >>> from hypothesis import find
    >>> find(cases("conv2d"), lambda case: True)
    conv2d(input: float32[1, 1, 1, 1], weight: float32[1, 1, 1, 1]) [denseint, contiguous]
    """
    op = OPERATIONS[operation] if isinstance(operation, str) else operation
    return _case(op, suited(op, scope or Scope()))


_DATA = ("family", "layout", "batch")  # features that no rule ties to others


def _case(op: Operation, scope: Scope) -> st.SearchStrategy[Case]:
    build = _signal_case if op.rank == 0 else _pool_case if "pool" in op.kind else _conv_case
    # one covering design serves every choice of data: what is not wanted is replaced after the row is drawn
    fix = {name: value for name, value in scope.fix.items() if name != "batch"}
    design = plan(op, replace(scope, families=(), layouts=LAYOUTS, empty=True, fix=fix))
    wanted = {f: values for f, values in plan(op, scope).features.items() if f in _DATA}

    return _drawn(op, scope, build, design, wanted)


@st.composite
def _drawn(
    draw: Draw, op: Operation, scope: Scope, build: Build, design: Design, wanted: Mapping[str, Sequence[str]]
) -> Case:
    # one object that makes every choice: the generator then has no parts that it could repeat for variety,
    # which would leave most rows of the design untouched
    choose = chooser(draw)
    row = dict(_row(choose, design))
    for feature, values in wanted.items():
        if row[feature] not in values:
            row[feature] = choose.choice(values)
    dtype = choose.choice(tuple(scope.dtypes))
    shapes, arguments, terms = build(choose, op, row, scope)
    seed = choose.randint(0, 2**16)
    operands = families.fill(row["family"], shapes, families.Room(dtype, terms), seed)
    return Case(op, operands, arguments, dtype, row["family"], row["layout"], tuple(sorted(row.items())))


def _row(choose: Random, design: Design) -> Row:
    """A row of the design; each feature may fall back to its plainest value, rarely drawn, often shrunk to."""
    rows = design.rows
    row, plain = _workhorse(choose, rows[choose.randint(0, len(rows) - 1)], design), design.plain()
    for name in row:
        if row[name] != plain[name] and choose.randint(0, 31) == 0:
            simpler = {**row, name: plain[name]}
            row = simpler if design.feasible(simpler) else row
    return row


WORKHORSE = {
    "stride": "1",
    "dilation": "1",
    "groups": "1",
    "padding": "symmetric",
    "kernel": "odd",
    "remainder": "free",
    "size": "small",
    "output padding": "0",
    "channels": "block",
}


def _workhorse(choose: Random, row: Row, design: Design) -> Row:
    """One row in eight is the layer that everybody has a special path for: 3x3, stride 1, blocks of channels."""
    if (
        not all(value in design.features.get(f, (value,)) for f, value in WORKHORSE.items())
        or choose.randint(0, 7) != 7
    ):
        return row
    return {f: WORKHORSE.get(f, value) for f, value in row.items()}


def _int(choose: Random, low: int, high: int) -> int:
    return choose.randint(low, max(low, high))


def _short(values: Sequence[int]) -> Any:
    """(2, 2) -> 2, as most people write it; (2, 3) stays."""
    return values[0] if len(set(values)) == 1 else tuple(values)


def _kernel(choose: Random, row: Row, rank: int, scope: Scope, least: int = 1) -> Sizes:
    fixed = held(scope, "kernel_size", rank)
    if fixed:
        return fixed
    kind, large = row["kernel"], {1: 7, 2: 5, 3: 3}[rank]
    if kind == "1":
        return (1,) * rank
    if kind == "odd":
        first = max(1, least // 2)
        return tuple(2 * _int(choose, first, max(first, large // 2)) + 1 for _ in range(rank))
    if kind == "even":
        first = max(2, least + least % 2)
        return tuple(2 * _int(choose, first // 2, max(first // 2, (large + 1) // 2)) for _ in range(rank))
    return tuple(_int(choose, max(2, least), max(3, least)) for _ in range(rank))


def _strides(choose: Random, row: Row, kernel: Sizes, scope: Scope) -> Sizes:
    rank = len(kernel)
    fixed = held(scope, "stride", rank)
    if fixed:
        return fixed
    if row["stride"] == "1":
        return (1,) * rank
    uneven = row.get("remainder") == "yes"
    if row["stride"] == ">kernel":
        wide = [k + _int(choose, 1, 2) for k in kernel]
        # an odd stride above 2 leaves a remainder at some prime and some tail
        return tuple(max(3, s + (s + 1) % 2) if uneven else s for s in wide)
    out = [_int(choose, 1, min(k, 3)) for k in kernel]
    # the last axis is the demanding one: it has the remainder
    out[-1] = 3 if uneven and kernel[-1] > 2 else max(2, out[-1])
    return tuple(out)


def _dilations(choose: Random, row: Row, rank: int, scope: Scope) -> Sizes:
    fixed = held(scope, "dilation", rank)
    if fixed:
        return fixed
    if row.get("dilation", "1") == "1":
        return (1,) * rank
    out = [_int(choose, 1, 3) for _ in range(rank)]
    wide = row["size"] == "small" and row.get("remainder") != "yes"  # sizes of other kinds are short
    out[-1] = choose.choice((2, 2, 2, 3, 3, 4, 5, 8) if wide else (2, 3))
    return tuple(out)


def _pads(choose: Random, row: Row, e: int, n: int, stride: int) -> tuple[int, int]:
    """Padding of one axis under a kernel of extent e; `n` is the input size, which must then fit where it can."""
    kind, half, missing = row["padding"], max(1, e // 2), max(0, e - n)
    if kind == "symmetric":
        return (p := _int(choose, min(half, max(1, -(-missing // 2))), half), p)
    if kind == "over half":
        return (p := min(e - 1, _int(choose, e // 2 + 1, e - 1)), p) if e > 2 else (half, half)
    if kind == "beyond kernel":
        return (p := _int(choose, e, e + 1), p)
    if kind == "beyond input":
        p = max(n + 1, -(-missing // 2))
        # the input's size stays as it is: the remainder is the padding's
        p += row.get("remainder") == "yes" and (n + 2 * p - e) % stride == 0
        return (p, p)
    if kind == "one side":
        a = _int(choose, max(1, missing), max(1, missing) + 1)
        return (0, a) if choose.randint(0, 1) else (a, 0)
    if kind == "uneven":
        low = max(1, missing // 2)
        a = _int(choose, low, low + 1)
        return (a, max(missing - a, a) + 1) if choose.randint(0, 1) else (max(missing - a, a) + 1, a)
    return (0, 0)


def _transposed_pads(choose: Random, row: Row, e: int, n: int) -> tuple[int, int]:
    """Padding of one axis of a transposed convolution; a single input must keep an output: less than e in all."""
    kind = row["padding"]
    if n > 1 or kind not in ("symmetric", "one side", "uneven"):
        return _pads(choose, row, e, e, 1)
    if kind == "symmetric":
        return (p := _int(choose, 1, max(1, (e - 1) // 2)), p)
    first = (0, _int(choose, 1, max(1, min(2, e - 1)))) if kind == "one side" else (1, 2)
    return first if choose.randint(0, 1) else (first[1], first[0])


def _sizes(choose: Random, row: Row, rank: int, scope: Scope) -> list[int]:
    """Input sizes before they are made to fit; the demanding one is the last axis."""
    fixed = held(scope, "input_size", rank)
    if fixed:
        return list(fixed)
    small = {1: 8, 2: 5, 3: 3}[rank]
    out = [_int(choose, 1, small) for _ in range(rank)]
    if row["size"] == "one":
        out[-1] = 1
    elif row["size"] == "prime":
        out[-1] = choose.choice(PRIMES[: 9 if rank < 3 else 6])
    elif row["size"] == "tail":
        out[-1] = choose.choice(_tails(rank))
    elif row.get("channels") == "block":
        out[-1] = choose.choice((8, 16))
    return out


def _tails(rank: int) -> tuple[int, ...]:
    """Sizes around vector widths: long ones where there is one axis, short ones where there are three."""
    return {1: LONG_TAILS, 2: TAILS, 3: (*TAILS[:8], 17, 33)}[rank]


def _fit(n: int, least: int, row: Row, room: int, stride: int, axis_is_last: bool) -> int:
    """The smallest size from n on (of its kind: prime, tail) that the kernel fits, with a remainder if asked for.

    `room` is padding minus extent: the kernel slides over n + room cells.
    """
    kinds = {"prime": PRIMES, "tail": LONG_TAILS}
    values: Sequence[int] = range(max(n, least), max(n, least) + 2 * stride + 1)
    if axis_is_last and row["size"] in kinds:
        known = [v for v in kinds[row["size"]] if v >= max(n, least)]
        values = known or [v for v in kinds[row["size"]] if v >= least] or [max(n, least)]
    if axis_is_last and row.get("remainder") == "yes":
        wanted = [v for v in values if (v + room) % stride]
        values = wanted or [v for v in kinds.get(row["size"], values) if v >= least and (v + room) % stride] or values
    return values[0]


def _turned(choose: Random, rank: int, scope: Scope) -> Callable[[Any], Any]:
    """Everything above makes the last axis the demanding one; this turns the axes so that it can be any.

    Where an argument is held fast with a value for each axis, axes stay where they are.
    """
    if rank == 1 or any(isinstance(value, Sequence) and not isinstance(value, str) for value in scope.fix.values()):
        return lambda values: values
    turn = choose.randint(0, rank - 1)
    return lambda values: type(values)([*values[turn:], *values[:turn]])


def _padding_argument(choose: Random, pads: Sequence[tuple[int, int]]) -> Any:
    if all(a == b for a, b in pads):
        return _short([a for a, _ in pads])
    return tuple(pads)


def _channels(choose: Random, row: Row, taps: int, scope: Scope) -> tuple[int, int, int]:
    """(in channels, out channels, groups)."""
    kind = row["channels"]
    if kind == "fixed":
        return _fixed_channels(choose, row, scope)
    if kind == "long":  # shrinks through powers of two and their neighbours
        return choose.choice([33, 64, 65, 129, 257, 512] + [max(1, LONG // taps)] * 10), _int(choose, 1, 2), 1
    if kind == "block":
        return (*choose.choice(((8, 8), (16, 16), (8, 16), (16, 8), (32, 8), (8, 32))), 1)
    tails = (4, 7, 8, 9, 15, 16, 17, 31, 33)
    if row["groups"] == "1":
        if kind == "tail":
            wide = choose.choice((*tails, 63, 64, 65))
            return (wide, _int(choose, 1, 3), 1) if choose.randint(0, 1) else (_int(choose, 1, 3), wide, 1)
        return (1, 1, 1) if kind == "one" else (_int(choose, 1, 4), _int(choose, 1, 4), 1)
    groups = choose.choice(tails) if kind == "tail" else _int(choose, 2, 4)
    if row["groups"] == "several":
        return groups * _int(choose, 2, 3), groups * _int(choose, 1, 2), groups
    multiplier = 1 if row["groups"] == "depthwise" else _int(choose, 2, 3)
    return groups, groups * multiplier, groups


def _fixed_channels(choose: Random, row: Row, scope: Scope) -> tuple[int, int, int]:
    kind, fix = row["groups"], scope.fix
    possible = groupings(kind, fix) or [fix.get("groups", 1)]
    groups = choose.choice(possible)
    least = {"several": 2, "depthwise": 1, "multiplier": 1, "1": 1}[kind]
    inside = {"several": 3, "depthwise": 1, "multiplier": 1, "1": 4}[kind]
    outside = {"several": (1, 2), "depthwise": (1, 1), "multiplier": (2, 3), "1": (1, 4)}[kind]
    c = fix.get("in_channels") or groups * _int(choose, least, inside)
    return c, fix.get("out_channels") or groups * _int(choose, *outside), groups


def _conv_case(choose: Random, op: Operation, row: Row, scope: Scope) -> tuple[dict[str, Sizes], dict[str, Any], int]:
    rank, transposed = op.rank, op.kind == "conv_transpose"
    dilation = _dilations(choose, row, rank, scope)
    kernel = _kernel(choose, row, rank, scope, least=_least_kernel(row, transposed))
    stride = _strides(choose, row, kernel, scope)
    stride, dilation = _room_for_extra(stride, dilation, scope)
    n = _sizes(choose, row, rank, scope)
    if "input_size" in scope.fix and transposed and "padding" in scope.fix and "kernel_size" not in scope.fix:
        kernel = _stretched(kernel, dilation, stride, n, scope)
    elif "input_size" in scope.fix and not transposed:
        free = row["padding"] not in ("none", "fixed")  # other padding makes room
        kernel, dilation = _squeezed(kernel, dilation, n, scope, free)
    extent = _extent(kernel, dilation)
    if row["kernel"] == "whole":
        n = list(extent)
    same = row["padding"] == "same"
    fixed = scope.fix.get("padding", 0)
    if same or row["padding"] == "fixed":
        pads = list(conv_spec(rank, kernel, stride, "same" if same else fixed, dilation).padding)
    elif transposed:
        pads = [_transposed_pads(choose, row, e, size) for e, size in zip(extent, n, strict=True)]
    else:
        pads = [_pads(choose, row, e, size, s) for e, size, s in zip(extent, n, stride, strict=True)]
    extra = (0,) * rank
    if transposed:
        extra = _output_padding(choose, row, stride, dilation, scope)
        least = _transposed_sizes(pads, extent, stride, extra)
        if "input_size" not in scope.fix:
            n = [_fit(n[i], least[i], row, 0, 1, i == rank - 1) for i in range(rank)]
        elif row["padding"] != "fixed":
            most = [(size - 1) * s + e + o - 1 for size, s, e, o in zip(n, stride, extent, extra, strict=True)]
            pads = [(a, b) if a + b <= m else (m // 2, m // 2) for (a, b), m in zip(pads, most, strict=True)]
        elif any(size < low for size, low in zip(n, least, strict=True)):
            raise ValueError(f"no output is left of `input_size` {tuple(n)} by `padding` {fixed!r}")
    elif "input_size" not in scope.fix and row["kernel"] != "whole":
        for i in range(rank):
            room = sum(pads[i]) - extent[i]
            n[i] = _fit(n[i], max(1, -room), row, room, stride[i], i == rank - 1)
    elif row["padding"] == "none":
        pads = [(p := -(-max(0, e - size) // 2), p) for e, size in zip(extent, n, strict=True)]
    if scope.fix:
        row.update(_observed(row, kernel, stride, dilation, n, pads))
    turned = _turned(choose, rank, scope)
    kernel, stride, dilation, n, pads, extra = map(turned, (kernel, stride, dilation, n, pads, extra))
    c, o, groups = _channels(choose, row, prod(kernel), scope)
    batch = _batch(choose, row, scope)
    x = (batch, c, *n)
    w = (o, c // groups, *kernel) if not transposed else (c, o // groups, *kernel)
    arguments: dict[str, Any] = {}
    if any(s != 1 for s in stride):
        arguments["stride"] = _short(stride)
    if same or isinstance(fixed, str):
        arguments["padding"] = "same"
    elif any(a or b for a, b in pads):
        arguments["padding"] = _padding_argument(choose, pads)
    elif not transposed and "padding" not in scope.fix and choose.randint(0, 7) == 7:
        arguments["padding"] = "valid"  # the word for no padding
    if any(extra):
        arguments["output_padding"] = _short(extra)
    if any(d != 1 for d in dilation):
        arguments["dilation"] = _short(dilation)
    if groups != 1:
        arguments["groups"] = groups
    spec = conv_spec(rank, kernel, stride, pads, dilation, groups)
    if not transposed and 0 in spec.output_size(tuple(n), kernel):
        raise ValueError(f"no output is left of `input_size` {tuple(n)} by `kernel_size` {kernel}")
    if "batch" not in scope.fix:
        x = _within_budget(op, row, x, w, spec)
    return _conv_shapes(op, row, x, w, spec, arguments)


def _least_kernel(row: Row, transposed: bool) -> int:
    """The smallest kernel for which the row can be: a stride of 3 with a remainder, padding over half of it, outputs
    of a single input."""
    least = 3 if row["padding"] == "over half" or (row["stride"] == ">1" and row.get("remainder") == "yes") else 1
    if transposed and row["size"] == "one":
        least = max(least, {"symmetric": 3, "uneven": 4}.get(row["padding"], 1))
    return least


def _extent(kernel: Sizes, dilation: Sizes) -> Sizes:
    return tuple(d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True))


def _room_for_extra(stride: Sizes, dilation: Sizes, scope: Scope) -> tuple[Sizes, Sizes]:
    """A fixed output padding must be smaller than the stride or the dilation."""
    extra = held(scope, "output_padding", len(stride)) or (0,) * len(stride)
    if "stride" not in scope.fix:
        axes = zip(stride, dilation, extra, strict=True)
        stride = tuple(s if o < max(s, d) else o + 1 for s, d, o in axes)
    elif "dilation" not in scope.fix:
        axes = zip(stride, dilation, extra, strict=True)
        dilation = tuple(d if o < max(s, d) else o + 1 for s, d, o in axes)
    return stride, dilation


def _stretched(kernel: Sizes, dilation: Sizes, stride: Sizes, n: Sequence[int], scope: Scope) -> Sizes:
    """A kernel that leaves a transposed convolution an output within a padding held fast."""
    pads = conv_spec(len(kernel), kernel, 1, scope.fix["padding"], dilation).padding
    axes = zip(kernel, dilation, stride, n, pads, strict=True)
    return tuple(max(k, 1 + -(-max(0, a + b - (size - 1) * s) // d)) for k, d, s, size, (a, b) in axes)


def _squeezed(kernel: Sizes, dilation: Sizes, n: Sequence[int], scope: Scope, free: bool) -> tuple[Sizes, Sizes]:
    """Kernel and dilation that fit an input whose size is held fast, unless they are held fast too."""
    rank = len(kernel)
    pads = conv_spec(rank, kernel, 1, scope.fix.get("padding", 0), dilation).padding
    kernels, dilations = list(kernel), list(dilation)
    for i in range(0 if free else rank):
        room = max(1, n[i] + sum(pads[i]))
        if "dilation" not in scope.fix and kernels[i] > 1:
            dilations[i] = max(1, min(dilations[i], (room - 1) // (kernels[i] - 1)))
        if "kernel_size" not in scope.fix:
            kernels[i] = min(kernels[i], (room - 1) // dilations[i] + 1)
    return tuple(kernels), tuple(dilations)


# Whether an axis, padded by a and b, with a kernel of extent e and an input of size n, is padded so; strictest first.
_PADDED: dict[str, Callable[[int, int, int, int], bool]] = {
    "none": lambda a, b, e, n: a == b == 0,
    "beyond input": lambda a, b, e, n: a == b > n,
    "beyond kernel": lambda a, b, e, n: a == b >= e,
    "over half": lambda a, b, e, n: a == b and e / 2 < a < e,
    "symmetric": lambda a, b, e, n: a == b,
    "one side": lambda a, b, e, n: min(a, b) == 0,
    "uneven": lambda a, b, e, n: True,
}


def _observed(
    row: Row, kernel: Sizes, stride: Sizes, dilation: Sizes, n: Sequence[int], pads: Sequence[tuple[int, int]]
) -> Row:
    """The features that a call really has, where arguments held fast may have overruled its row."""
    extent = _extent(kernel, dilation)
    wide = any(s > k for s, k in zip(stride, kernel, strict=True))
    kinds = {"one": (1,), "prime": PRIMES, "tail": TAILS}
    axes = [(a, b, e, size) for (a, b), e, size in zip(pads, extent, n, strict=True)]
    rest = [(size + a + b - e) % s for (a, b, e, size), s in zip(axes, stride, strict=True)]
    out = {
        "stride": "1" if all_one(stride) else ">kernel" if wide else ">1",
        "dilation": "1" if all_one(dilation) else ">1",
        "kernel": "1" if all_one(kernel) else "odd" if all_odd(kernel) else "even",
        "size": row["size"] if n[-1] in kinds.get(row["size"], n) else "small",
        "remainder": row["remainder"] if "remainder" in row and any(rest) else "free",
    }
    if row["stride"] == "default":
        out["stride"] = "default"
    if row["kernel"] == "whole" and tuple(n) == extent:
        out["kernel"] = "whole"
    if (said := row["padding"]) in _PADDED:
        true = [kind for kind, padded in _PADDED.items() if all(padded(*axis) for axis in axes)]
        even = "symmetric" in true
        stays = said in true and true[0] != "none" and (said not in ("one side", "uneven") or not even)
        out["padding"] = said if stays else true[0] if even else true[-1]
    return {name: value for name, value in out.items() if name in row}


def _conv_shapes(
    op: Operation, row: Row, x: Sizes, w: Sizes, spec: Any, arguments: dict[str, Any]
) -> tuple[dict[str, Sizes], dict[str, Any], int]:
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


def _within_budget(op: Operation, row: Row, x: Sizes, w: Sizes, spec: Any) -> Sizes:
    """The batch cut down until the call costs no more than the budget; many stay at least two."""
    positions = prod(spec.output_size(x[2:], w[2:])) if op.kind != "conv_transpose" else prod(x[2:])
    cost = max(1, prod(w) * positions)
    return (min(x[0], max(2 if row["batch"] == "many" else 1, BUDGET // cost)), *x[1:])


def _output_padding(choose: Random, row: Row, stride: Sizes, dilation: Sizes, scope: Scope) -> Sizes:
    fixed = held(scope, "output_padding", len(stride))
    if fixed:
        return fixed
    if row["output padding"] == "0":
        return (0,) * len(stride)
    most = [max(s, d) - 1 for s, d in zip(stride, dilation, strict=True)]
    out = [_int(choose, 0, m) if m else 0 for m in most]
    if not any(out):
        where = max(range(len(most)), key=lambda i: most[i])
        out[where] = most[where]
    return tuple(out)


def _transposed_sizes(pads: Sequence[tuple[int, int]], extent: Sizes, stride: Sizes, extra: Sizes) -> Sizes:
    """The smallest sizes for which the transposed convolution has an output: (n - 1) s + e + o - a - b > 0."""
    axes = zip(pads, extent, stride, extra, strict=True)
    return tuple(1 + -(-max(0, a + b + 1 - e - o) // s) for (a, b), e, s, o in axes)


def _batch(choose: Random, row: Row, scope: Scope) -> int:
    if "batch" in scope.fix:
        return int(scope.fix["batch"])
    if row["batch"] == "many":
        return int(choose.choice((2, 3, 5, 9, 16, 17, 32, 33, 65)))
    return 0 if row["batch"] == "0" else 1


def _pool_case(choose: Random, op: Operation, row: Row, scope: Scope) -> tuple[dict[str, Sizes], dict[str, Any], int]:
    rank = op.rank
    dilation = _dilations(choose, row, rank, scope)
    most = max((p for pair in _fixed_pairs(scope, rank) for p in pair), default=0)
    kernel = _kernel(choose, row, rank, scope, least=max(2 * most, _least_kernel(row, False)))
    if row["padding"] == "uneven" or most:
        kernel = tuple(max(2 * most, 2, k) for k in kernel) if "kernel_size" not in scope.fix else kernel
    n = _sizes(choose, row, rank, scope)
    if "input_size" in scope.fix:
        kernel, dilation = _squeezed(kernel, dilation, n, scope, False)
    plain = row["stride"] == "default" and "stride" not in scope.fix
    stride = kernel if plain else _strides(choose, row, kernel, scope)
    extent = _extent(kernel, dilation)
    n = list(extent) if row["kernel"] == "whole" else n
    pads = [_pool_pads(choose, row, k, size) for k, size in zip(kernel, n, strict=True)]
    if row["padding"] == "fixed":
        pads = list(_fixed_pairs(scope, rank))
    if "input_size" not in scope.fix and row["kernel"] != "whole":
        for i in range(rank):
            room = sum(pads[i]) - extent[i]
            # a dilated window must not miss the image: the input is at least as large as the gaps
            least = max(1, -room, dilation[i] if kernel[i] > 1 else 1)
            n[i] = _fit(n[i], least, row, room, stride[i], i == rank - 1)
    elif row["padding"] != "fixed":
        # a kernel held fast may need padding to fit an input held fast
        needed = [-(-max(0, e - size) // 2) for e, size in zip(extent, n, strict=True)]
        pads = [(max(a, p), max(b, p)) for (a, b), p in zip(pads, needed, strict=True)]
    if scope.fix:
        row.update(_observed(row, kernel, stride, dilation, n, pads))
    turned = _turned(choose, rank, scope)
    kernel, stride, dilation, n, pads = map(turned, (kernel, stride, dilation, n, pads))
    arguments: dict[str, Any] = {"kernel_size": _short(kernel)}
    if row["stride"] != "default" or "stride" in scope.fix:
        arguments["stride"] = _short(stride)
    if any(a or b for a, b in pads):
        arguments["padding"] = _padding_argument(choose, pads)
    if any(d != 1 for d in dilation):
        arguments["dilation"] = _short(dilation)
    if row["ceil_mode"] == "yes":
        arguments["ceil_mode"] = True
    if row.get("count_include_pad") == "no":
        arguments["count_include_pad"] = False
    known = scope.fix.get("in_channels", 1)
    channels = {"one": (1, 1), "few": (1, 4), "fixed": (known, known)}.get(row["channels"])
    c = _int(choose, *channels) if channels else choose.choice((15, 16, 17, 31, 32, 33, 63, 65))
    x = (_batch(choose, row, scope), c, *n)
    spec = pool_spec(rank, **arguments)
    if scope.ceil_rule == "extra" and spec.drops_a_window(x[2:]):
        row["ceil_mode"] = "no"
        del arguments["ceil_mode"]
        spec = pool_spec(rank, **arguments)
    if 0 in spec.output_size(x[2:]):
        raise ValueError(f"no output is left of `input_size` {x[2:]} by `kernel_size` {kernel}")
    if "batch" not in scope.fix:
        cost = max(1, x[1] * prod(spec.output_size(x[2:])) * prod(kernel))
        x = (min(x[0], max(2 if row["batch"] == "many" else 1, BUDGET // cost)), *x[1:])
    return _pool_shapes(op, x, spec, arguments)


def _fixed_pairs(scope: Scope, rank: int) -> Sequence[tuple[int, int]]:
    """The fixed padding of a pooling, none where it is free."""
    return conv_spec(rank, (1,) * rank, 1, scope.fix["padding"]).padding if "padding" in scope.fix else ()


def _pool_shapes(
    op: Operation, x: Sizes, spec: PoolSpec, arguments: dict[str, Any]
) -> tuple[dict[str, Sizes], dict[str, Any], int]:
    out = spec.output_size(x[2:])
    shapes: dict[str, Sizes] = {"input": x}
    if op.kind.endswith("backward"):
        shapes = {"grad_output": (*x[:2], *out), **shapes}
    return shapes, arguments, prod(spec.kernel_size)


def _pool_pads(choose: Random, row: Row, k: int, n: int) -> tuple[int, int]:
    """Padding of one axis, at most half the kernel, with which it fits an input of size n where it can."""
    half, missing = k // 2, max(0, k - n)
    if row["padding"] == "symmetric" and k > 1:
        return (p := _int(choose, max(1, min(half, -(-missing // 2))), half), p)
    if row["padding"] == "uneven":
        a = _int(choose, max(0, min(half - 1, missing - half)), half - 1)
        return (a, half) if choose.randint(0, 1) else (half, a)
    return (0, 0)


def _signal_case(choose: Random, op: Operation, row: Row, scope: Scope) -> tuple[dict[str, Sizes], dict[str, Any], int]:
    rank = int(row["rank"])
    large = {1: 7, 2: 5, 3: 3}[rank]
    if row["kernel"] == "1":
        small = [1] * rank
    else:
        small = [2 * _int(choose, 1, large // 2) + (row["kernel"] == "odd") for _ in range(rank)]
    if row["larger"] == "neither":
        first, second = list(small), list(small)
    else:
        big = [k + _int(choose, 0, 4) for k in small]
        big[-1] = max(big[-1], small[-1] + 1)
        if row["size"] == "prime":
            big[-1] = _fit_from(PRIMES, small[-1] + 1, choose)
        elif row["size"] == "tail":
            big[-1] = _fit_from(TAILS, small[-1] + 1, choose)
        first, second = (big, small) if row["larger"] == "in1" else (small, big)
    arguments = {} if row["mode"] == "full" else {"mode": row["mode"]}
    full_output_size(tuple(first), tuple(second), row["mode"])
    terms = prod(min(a, b) for a, b in zip(first, second, strict=True))
    return {"in1": tuple(first), "in2": tuple(second)}, arguments, terms


def _fit_from(values: Sequence[int], least: int, choose: Random) -> int:
    return int(choose.choice([v for v in values if v >= least]))
