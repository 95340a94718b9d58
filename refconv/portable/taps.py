"""Windows without indices: borders, zeros in between, and the strided slices that the taps of a window read.

A tap is one element of the kernel; over all windows its reads are one strided slice of the padded array. `taps` takes
these slices, `untaps` is its adjoint. Arrays are (..., *size): leading axes are left alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from typing import Any

import array_api_extra as xpx

from refconv.spec import ConvSpec, Pairs, PoolSpec, Sizes

__all__ = ["extended", "padded", "stretched", "taps", "untaps"]

Array = Any
Spec = ConvSpec | PoolSpec


def _space(places: Iterable[slice]) -> tuple[Any, ...]:
    """Index the last axes, keep those before."""
    return (..., *places)


def padded(xp: Any, x: Array, pairs: Pairs, fill: float = 0) -> Array:
    """x with `fill` before and after on each of its last axes; taken away instead where a number is negative."""
    kept, grow = [], []
    for n, (before, after) in zip(x.shape[-len(pairs) :], pairs, strict=True):
        total, first = n + before + after, max(0, -before)
        stop = min(n, total - before)
        kept.append(slice(first, stop) if stop > first else slice(0, 0))
        grow.append((first + before, total - before - stop) if stop > first else (total, 0))
    if any(part != slice(0, n) for part, n in zip(kept, x.shape[-len(pairs) :], strict=True)):
        x = x[_space(kept)]
    if not any(map(any, grow)):
        return x
    return xpx.pad(x, [(0, 0)] * (x.ndim - len(pairs)) + grow, constant_values=fill, xp=xp)


def stretched(xp: Any, x: Array, step: Sizes) -> Array:
    """x with step - 1 zeros between neighbours on each of its last axes: n becomes (n - 1) step + 1."""
    for axis, s in enumerate(step, start=x.ndim - len(step)):
        n, before, after = x.shape[axis], tuple(x.shape[:axis]), tuple(x.shape[axis + 1 :])
        if s > 1 and n > 1:
            spaced = padded(xp, xp.reshape(x, (*before, n, 1, *after)), ((0, s - 1), *((0, 0),) * len(after)))
            x = xp.reshape(spaced, (*before, n * s, *after))
            x = x[(*(slice(None),) * axis, slice(0, (n - 1) * s + 1), ...)]
    return x


def taps(x: Array, kernel_size: Sizes, counts: Sizes, stride: Sizes, dilation: Sizes) -> list[Array]:
    """For each tap in row-major order what `counts` windows hold there: (..., *counts) of a padded array."""
    return [
        x[_space(slice(t * d, t * d + (c - 1) * s + 1 if c else 0, s) for t, c, s, d in axes)]
        for tap in product(*map(range, kernel_size))
        for axes in [tuple(zip(tap, counts, stride, dilation, strict=True))]
    ]


def untaps(xp: Any, parts: Sequence[Array], kernel_size: Sizes, spec: Spec, input_size: Sizes) -> Array:
    """The sum of one array (..., *counts) for each tap, each element at the place that its window reads there.

    Places that lie on the padding are dropped: (..., *input_size). Zeros stand between the elements, none is
    multiplied: a NaN stays where it belongs.
    """
    total = None
    for tap, part in zip(product(*map(range, kernel_size)), parts, strict=True):
        wide = stretched(xp, part, spec.stride)
        offsets = [t * d - before for t, d, (before, _) in zip(tap, spec.dilation, spec.padding, strict=True)]
        sizes = zip(offsets, input_size, wide.shape[-spec.rank :], strict=True)
        placed = padded(xp, wide, tuple((at, n - at - m) for at, n, m in sizes))
        total = placed if total is None else total + placed
    return total


def extended(xp: Any, x: Array, pairs: Pairs, mode: str) -> Array:
    """x (N, C, *n) with its border filled from its own elements: "reflect", "replicate" or "circular"."""
    for axis, (before, after) in enumerate(pairs, start=2):
        n, at = x.shape[axis], (slice(None),) * axis

        def part(start: int, stop: int, x: Array = x, at: tuple[slice, ...] = at) -> Array:
            return x[(*at, slice(start, stop), ...)]

        if mode == "circular":
            sides = part(n - before, n), part(0, after)
        elif mode == "replicate":
            sides = xp.repeat(part(0, 1), before, axis=axis), xp.repeat(part(n - 1, n), after, axis=axis)
        else:
            sides = (xp.flip(part(1, 1 + before), axis=axis), xp.flip(part(n - 1 - after, n - 1), axis=axis))
        x = xp.concat([sides[0], x, sides[1]], axis=axis)
    return x
