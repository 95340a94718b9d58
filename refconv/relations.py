"""What laws that compare calls share: calls derived from a case, small-integer data, results as intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from math import isqrt, prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from refconv import exact, judge, strategies
from refconv.dtypes import Array, Float64Array, format_of, numpy_dtype
from refconv.features import Scope
from refconv.judge import Interval
from refconv.law import Draw, Judged
from refconv.spec import Case, Operation, Sizes
from refconv.subject import Declined

__all__ = [
    "PLACES",
    "SEEDS",
    "agree",
    "as_operand",
    "ask",
    "drawn",
    "fresh",
    "given",
    "hull",
    "integer_cases",
    "integers",
    "joined",
    "largest",
    "longest",
    "mapped",
    "outer",
    "padded",
    "points",
    "reads",
    "small",
    "whole",
    "whole_numbers",
    "wide",
    "window_counts",
    "windows",
    "without",
]

Found = dict[str, Interval]  # by name: a result, or the real and the imaginary part of one

SEEDS = st.integers(0, 2**16)  # of data that are drawn anew
PLACES = st.integers(0, 2**16)  # which of several images, windows or elements, counted round and round


# ------------------------------------------------------------------------------------------- cases to start from


def drawn(fix: Mapping[str, Any] | None = None, **changes: Any) -> Draw:
    """Cases of a scope with some of its fields replaced, and more held fast of what the user leaves free."""
    return lambda operation, scope: strategies.cases(
        operation, replace(scope, **changes, fix={**(fix or {}), **scope.fix})
    )


whole = drawn(families=("denseint",), empty=False)  # the geometry is what counts: laws draw the integers again


def integer_cases(operation: Operation, scope: Scope) -> st.SearchStrategy[Case]:
    """Cases whose operands are integers from -3 to 3, or -1 to 1 where sums are long."""
    return strategies.cases(operation, replace(scope, families=("denseint",))).map(small)


def small(case: Case) -> Case:
    """The case with its operands divided by their common power of two and cut to -3 to 3."""
    return case.with_operands(**{name: _reduced(a) for name, a in case.operands.items()})


def _reduced(array: Array) -> Array:
    values = array.astype(np.float64)
    return np.asarray(np.fmod(values / exact.lowest_bit(values), 4).astype(array.dtype))


# ---------------------------------------------------------------------------------------------- integers as data


def longest(case: Case) -> int:
    """How many products the longest sum of a forward call has."""
    if case.operation.rank == 0:
        sizes = zip(case.operands["in1"].shape, case.operands["in2"].shape, strict=True)
        return int(prod(min(pair) for pair in sizes)) * (2 if case.dtype.startswith("complex") else 1)
    if "pool" in case.operation.kind:
        return prod(case.pool.kernel_size)
    w = case.operands["weight"].shape
    return prod(w[1:]) if case.operation.kind == "conv" else w[0] // case.conv.groups * prod(w[2:])


def largest(case: Case, spare: int = 2, bits: int | None = None) -> int:
    """The largest integer for which sums of products, `spare` times over, need no more than `bits` bits.

    By default as many as an accumulator holds: all of float32's and float64's, 15 below float16's overflow. Half
    of `spare` of the integers themselves add up to one that the dtype holds.
    """
    precision = format_of(case.dtype).precision
    bits = bits or (15 if case.dtype == "float16" else max(precision, 24))
    return max(
        1, min(isqrt((1 << bits) // (spare * (longest(case) + 1))), ((1 << precision) - 1) // max(1, spare // 2))
    )


def integers(rng: np.random.Generator, shape: Sizes, bound: int, dtype: str) -> Array:
    """From -bound to bound; of complex numbers, both parts."""
    values: Any = rng.integers(-bound, bound, shape, endpoint=True).astype(np.float64)
    if dtype.startswith("complex"):
        values = values + 1j * rng.integers(-bound, bound, shape, endpoint=True)
    return np.asarray(values.astype(numpy_dtype(dtype)))


def fresh(
    case: Case,
    seed: int,
    arguments: Mapping[str, Any] | None = None,
    *,
    spare: int = 2,
    bits: int | None = None,
    **shapes: Any,
) -> Case:
    """The call on new integers, none larger than `largest` says, and under other arguments where they are given.

    A shape given for an operand replaces its own, None leaves the operand out.
    """
    shapes = {**{name: a.shape for name, a in case.operands.items()}, **shapes}
    blank = {name: np.zeros(s, numpy_dtype(case.dtype)) for name, s in shapes.items() if s is not None}
    case = replace(case, operands=blank, arguments=case.arguments if arguments is None else arguments)
    rng, bound = np.random.default_rng(seed), largest(case, spare, bits)
    return case.with_operands(**{name: integers(rng, a.shape, bound, case.dtype) for name, a in blank.items()})


def wide(array: Array) -> Array:
    """In float64, or complex128: every format fits."""
    return array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)


# ------------------------------------------------------------------------------------------------- derived calls


def without(case: Case, *names: str) -> dict[str, Any]:
    """The arguments but for these, which then are their defaults."""
    return {name: value for name, value in case.arguments.items() if name not in names}


def given(**arguments: Any) -> dict[str, Any]:
    """Those of a convolution's arguments that differ from their default: subjects without the others take the call.

    >>> given(stride=(1, 1), dilation=(1, 2), groups=1)
    {'dilation': (1, 2)}
    """
    plain = {"stride": 1, "dilation": 1, "groups": 1, "padding": 0, "output_padding": 0}
    return {n: v for n, v in arguments.items() if any(i != plain[n] for i in (v if isinstance(v, tuple) else (v,)))}


def padded(array: Array, pairs: Sequence[tuple[int, int]], fill: float = 0) -> Array:
    """The spatial axes of an (N, C, ...) array with more cells before and after."""
    return np.ascontiguousarray(np.pad(array, [(0, 0), (0, 0), *pairs], constant_values=fill))


# ---------------------------------------------------------------------------------------------------- intervals


def ask(judged: Judged, case: Case) -> Found:
    """The intervals that explain a call's results; a maximum is a point, because selecting never rounds."""
    return points(judged.one(case)) if case.operation.kind == "max_pool" else judged.enclosed(case)


def points(values: Any) -> Found:
    """Nothing but these values, as parts like those of a result."""
    return {name: Interval.point(part) for name, part in judge.parts({"output": np.asarray(values)}).items()}


def agree(left: Found, right: Found, case: Case, reason: str) -> None:
    """Some exact value explains both, part by part."""
    for name in left:
        judge.overlap(left[name], right[name], case, reason, name)


def mapped(found: Found, function: Callable[[Any], Any]) -> Found:
    """The same rearrangement of every part."""
    return {name: interval.map(function) for name, interval in found.items()}


def joined(parts: Sequence[Interval], axis: int = 0) -> Interval:
    """Intervals of several calls, one behind the other."""
    return Interval(*(np.concatenate(ends, axis) for ends in ([p.low for p in parts], [p.high for p in parts])))


def whole_numbers(found: Found, case: Case) -> dict[str, Float64Array]:
    """The integers that a result stands for; declined where the claimed class leaves several."""
    out = {}
    for name, interval in found.items():
        with np.errstate(invalid="ignore"):
            nearest = np.rint(interval.low / 2 + interval.high / 2)
        if (np.floor(interval.high) > np.ceil(interval.low)).any():
            raise Declined("its class leaves more than one integer")
        judge.overlap(interval, Interval.point(nearest), case, "integers give no integer", name)
        out[name] = nearest
    return out


def as_operand(values: Mapping[str, Float64Array], case: Case) -> Array:
    """A result of integers, by part, as an operand of the case's dtype."""
    array = values["output.real"] + 1j * values["output.imag"] if "output.imag" in values else values["output"]
    return np.ascontiguousarray(array.astype(numpy_dtype(case.dtype)))


# ------------------------------------------------------------------------------------------------------- windows


def reads(case: Case, windows: Sizes, inputs: Sizes, hull: bool = False) -> list[Any]:
    """For each axis, (windows, inputs): which cells a window reads; with `hull`, also those that dilation steps over.

    For a transposed convolution the windows are the input's cells, and what they read is where they are spread to.
    """
    pooling = "pool" in case.operation.kind
    spec: Any = case.pool if pooling else case.conv
    extents = spec.extent if pooling else spec.extent(case.operands["weight"].shape[2:])
    found = []
    axes = zip(windows, inputs, spec.stride, spec.padding, extents, spec.dilation, strict=True)
    for count, n, s, (before, _), extent, d in axes:
        offset = np.arange(n) + before - s * np.arange(count)[:, None]
        found.append((offset >= 0) & (offset < extent) & ((offset % d == 0) | hull))
    return found


def outer(vectors: Sequence[Any]) -> Any:
    """The product over the axes of a grid of one vector for each axis."""
    out = np.ones((), vectors[0].dtype)
    for vector in vectors:
        out = np.multiply.outer(out, vector)
    return out


def hull(case: Case, values: Array, fill: float = 0) -> Array:
    """The input of a pooling, or values of its shape, between fills: the cells from its first window to its last."""
    spec, size = case.pool, values.shape[2:]
    sizes = [(o - 1) * s + e for o, s, e in zip(spec.output_size(size), spec.stride, spec.extent, strict=True)]
    room = [(a, max(0, h - n - a)) for (a, _), h, n in zip(spec.padding, sizes, size, strict=True)]
    inside: Any = (..., *(slice(0, h) for h in sizes))
    return np.ascontiguousarray(padded(values, room, fill)[inside])


def windows(case: Case, values: Array, fill: float) -> Array:
    """(N, C, *output_size, cells): what each window of a pooling reads, `fill` where that lies in the padding."""
    spec, rank = case.pool, case.operation.rank
    count, cells = spec.output_size(values.shape[2:]), prod(spec.kernel_size)
    if 0 in count:
        return np.empty((*values.shape[:2], *count, cells), values.dtype)
    view = np.lib.stride_tricks.sliding_window_view(hull(case, values, fill), spec.extent, tuple(range(2, 2 + rank)))
    every = [slice(None, None, step) for step in (*spec.stride, *spec.dilation)]
    return view[(slice(None), slice(None), *every)].reshape(*values.shape[:2], *count, cells)


def window_counts(case: Case) -> tuple[Any, Any]:
    """(cells of the input, cells that an average divides by) for each window of a pooling."""
    spec, size = case.pool, case.operands["input"].shape[2:]
    inside, counted = [], []
    axes = zip(size, spec.output_size(size), spec.kernel_size, spec.stride, spec.padding, strict=True)
    for n, count, k, s, (a, b) in axes:
        start = np.arange(count) * s - a
        inside.append(np.minimum(start + k, n) - np.maximum(start, 0))
        # cells that ceil mode adds beyond the padding never count
        counted.append(np.minimum(start + k, n + b) - start if spec.count_include_pad else inside[-1])
    return outer(inside), outer(counted)
