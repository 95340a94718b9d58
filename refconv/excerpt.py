"""Small parts of a large call that can be judged alone: the call that gives them, and where they lie in its results."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from refconv.dtypes import Array
from refconv.spec import Case, Sizes

__all__ = ["Excerpt", "excerpts"]

Index = tuple[slice, ...]
BUDGET = 1 << 20  # multiply-adds of a box


@dataclass(frozen=True)
class Excerpt:
    """A call, and for each of its results that counts, the place in the whole call's result that must equal it."""

    case: Case
    places: Mapping[str, Index]

    def of(self, results: Mapping[str, Array]) -> dict[str, Array]:
        """That part of the whole call's results."""
        return {name: results[name][place] for name, place in self.places.items()}


def excerpts(case: Case, rng: np.random.Generator, box: bool = True) -> Iterator[Excerpt]:
    """Parts of the call, drawn anew, that reach each of its results.

    The channels of one image, or of one kernel, are a call of their own; of a convolution's output moreover a `box` of
    at most about a million multiply-adds. A transform's error depends on the whole image: leave `box` off there.

    >>> from refconv.spec import OPERATIONS
    >>> x, w = np.arange(12.0).reshape(1, 2, 6), np.ones((3, 2, 2))
    >>> call = Case(OPERATIONS["conv1d"], {"input": x, "weight": w}, {}, "float64")
    >>> [(e.case.operands["weight"].shape, e.places) for e in excerpts(call, np.random.default_rng(0), box=False)]
    [((1, 2, 2), {'output': (slice(0, 1, None), slice(2, 3, None))})]
    """
    kind = case.operation.kind
    if kind == "conv":
        yield _conv(case, rng, box)
    elif kind == "conv_transpose":
        yield _transposed(case, rng)
    elif kind == "conv_backward":
        yield from _backward(case, rng)
    elif "pool" in kind:
        yield _pool(case, rng)
    else:
        raise ValueError(
            f"`case` is one of {case.operation.name}, but must be a convolution, its gradient or a pooling"
        )


def _one(i: int) -> slice:
    return slice(i, i + 1)


def _block(i: int, size: int) -> slice:
    """The i-th of blocks of the same size."""
    return slice(i * size, (i + 1) * size)


def _part(case: Case, operands: dict[str, Array], **arguments: Any) -> Case:
    kept = {**case.arguments, **arguments}
    return Case(case.operation, {n: np.ascontiguousarray(a) for n, a in operands.items()}, kept, case.dtype)


def _conv(case: Case, rng: np.random.Generator, box: bool) -> Excerpt:
    x, w = case.operands["input"], case.operands["weight"]
    n, k = int(rng.integers(len(x))), int(rng.integers(len(w)))
    channels = _block(k // (len(w) // case.conv.groups), w.shape[1])
    operands = {"input": x[_one(n), channels], "weight": w[_one(k)]}
    if "bias" in case.operands:
        operands["bias"] = case.operands["bias"][_one(k)]
    size = case.shapes["output"][2:]
    if not box:
        return Excerpt(_part(case, operands, groups=1), {"output": (_one(n), _one(k))})
    place = _box(size, BUDGET // max(1, prod(w.shape[1:])), rng)
    cut, pairs = zip(*(_read(case, axis, part) for axis, part in enumerate(place)), strict=True)
    operands["input"] = operands["input"][(..., *cut)]
    return Excerpt(_part(case, operands, groups=1, padding=pairs), {"output": (_one(n), _one(k), *place)})


def _box(size: Sizes, points: int, rng: np.random.Generator) -> Index:
    """A box of at most so many points, at least one, the last axis as long as can be."""
    place = []
    for n in reversed(size):
        length = max(1, min(n, points))
        points //= length
        start = int(rng.integers(n - length + 1))
        place.append(slice(start, start + length))
    return tuple(reversed(place))


def _read(case: Case, axis: int, part: slice) -> tuple[slice, tuple[int, int]]:
    """What a range of outputs reads of the input along an axis, and how much padding around it."""
    spec, n = case.conv, case.operands["input"].shape[2 + axis]
    extent = spec.extent(case.operands["weight"].shape[2:])[axis]
    start = part.start * spec.stride[axis] - spec.padding[axis][0]
    stop = (part.stop - 1) * spec.stride[axis] - spec.padding[axis][0] + extent
    return slice(max(0, start), max(0, min(n, stop))), (max(0, -start), max(0, stop - n))


def _transposed(case: Case, rng: np.random.Generator) -> Excerpt:
    x, w = case.operands["input"], case.operands["weight"]
    n, group, j = (int(rng.integers(m)) for m in (len(x), case.conv.groups, w.shape[1]))
    channels, k = _block(group, len(w) // case.conv.groups), group * w.shape[1] + j
    operands = {"input": x[_one(n), channels], "weight": w[channels, _one(j)]}
    if "bias" in case.operands:
        operands["bias"] = case.operands["bias"][_one(k)]
    return Excerpt(_part(case, operands, groups=1), {"output": (_one(n), _one(k))})


def _backward(case: Case, rng: np.random.Generator) -> Iterator[Excerpt]:
    """One channel of one image's gradient, and the kernel between one channel and one output channel."""
    g, x, w = (case.operands[name] for name in ("grad_output", "input", "weight"))
    n, c = int(rng.integers(len(x))), int(rng.integers(x.shape[1]))
    group, j = divmod(c, w.shape[1])
    outputs = _block(group, len(w) // case.conv.groups)
    operands = {"grad_output": g[_one(n), outputs], "input": x[_one(n), _one(c)], "weight": w[outputs, _one(j)]}
    yield Excerpt(_part(case, operands, groups=1), {"grad_input": (_one(n), _one(c))})
    k = int(rng.integers(outputs.start, outputs.stop))
    operands = {"grad_output": g[:, _one(k)], "input": x[:, _one(c)], "weight": w[_one(k), _one(j)]}
    yield Excerpt(_part(case, operands, groups=1), {"grad_weight": (_one(k), _one(j)), "grad_bias": (_one(k),)})


def _pool(case: Case, rng: np.random.Generator) -> Excerpt:
    """One channel of one image."""
    x = case.operands["input"]
    place = _one(int(rng.integers(len(x)))), _one(int(rng.integers(x.shape[1])))
    operands = {name: a[place] for name, a in case.operands.items()}
    return Excerpt(_part(case, operands), {case.operation.results[0]: place})
