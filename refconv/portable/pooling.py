"""Max and average pooling and their gradients, one tap of the window after the other.

The maximum of a window is that of its cells inside the input: of equal ones the first in row-major order, of several
NaN the last; the gradient by automatic differentiation goes where the explicit one goes.
"""

from __future__ import annotations

from functools import reduce
from operator import add
from typing import Any

from array_api_compat import device

from refconv.namespaces import computed
from refconv.portable.taps import padded, taps, untaps
from refconv.spec import PoolSpec, Sizes

__all__ = ["avg_backward", "avg_pool", "max_backward", "max_pool"]

Array = Any


def _reads(xp: Any, x: Array, spec: PoolSpec, input_size: Sizes, fill: Any = 0) -> list[Array]:
    """(..., *output_size) for each tap; `fill` on the padding and on what ceil mode adds."""
    counts = spec.output_size(input_size)
    sizes = zip(input_size, spec.padding, counts, spec.stride, spec.extent, strict=True)
    pairs = tuple((before, (c - 1) * s + e - n - before) for n, (before, _), c, s, e in sizes)
    return taps(padded(xp, x, pairs, fill), spec.kernel_size, counts, spec.stride, spec.dilation)


def _lowest(xp: Any, x: Array) -> Any:
    return xp.iinfo(x.dtype).min if xp.isdtype(x.dtype, "integral") else -float("inf")


def _maxima(xp: Any, x: Array, spec: PoolSpec) -> tuple[Array, list[Array]]:
    """The maximum of each window, and for each tap whether it took the lead there: the last that did holds it."""
    cells = xp.ones((1, 1, *x.shape[2:]), dtype=xp.bool, device=device(x))
    inside, values = _reads(xp, cells, spec, x.shape[2:], False), _reads(xp, x, spec, x.shape[2:])
    best, none, leads = xp.full_like(values[0], _lowest(xp, x)), ~xp.zeros_like(inside[0]), []
    for there, value in zip(inside, values, strict=True):
        takes = there & (none | (value > best) | (value != value))
        best, none = xp.where(takes, value, best), none & ~there
        leads.append(takes)
    return best, leads


def max_pool(xp: Any, x: Array, spec: PoolSpec) -> Array:
    """x (N, C, *input_size) -> (N, C, *output_size); minus infinity, or the lowest integer, of padding alone."""
    return _maxima(xp, x, spec)[0]


def max_backward(xp: Any, grad_output: Array, x: Array, spec: PoolSpec) -> Array:
    """Each window's gradient goes to the cell that holds its maximum: (N, C, *input_size)."""
    wide = computed(xp, x.dtype) if not xp.isdtype(x.dtype, "integral") else x.dtype
    g, parts = xp.astype(grad_output, wide, copy=False), []
    for takes in reversed(_maxima(xp, x, spec)[1]):
        parts.append(xp.where(takes, g, xp.zeros_like(g)))
        g = xp.where(takes, xp.zeros_like(g), g)
    grad = untaps(xp, parts[::-1], spec.kernel_size, spec, x.shape[2:])
    return xp.astype(grad, x.dtype, copy=False)


def _counts(xp: Any, spec: PoolSpec, input_size: Sizes, like: Array) -> Array:
    """How many cells each window averages over, (*output_size); those that ceil mode adds never count."""
    total = None
    axes = zip(input_size, spec.output_size(input_size), spec.stride, spec.kernel_size, spec.padding, strict=True)
    for axis, (n, out, stride, k, (before, after)) in enumerate(axes):
        low, high = (-before, n + after) if spec.count_include_pad else (0, n)
        starts = range(-before, out * stride - before, stride)
        along = [float(min(start + k, high) - max(start, low)) for start in starts]
        counts = xp.asarray(along, dtype=like.dtype, device=device(like))
        counts = xp.reshape(counts, (out, *(1,) * (spec.rank - 1 - axis)))
        total = counts if total is None else total * counts
    return total


def avg_pool(xp: Any, x: Array, spec: PoolSpec) -> Array:
    """x (N, C, *input_size) -> (N, C, *output_size); narrow formats are summed in float32 and rounded once."""
    wide = xp.astype(x, computed(xp, x.dtype), copy=False)
    total = reduce(add, _reads(xp, wide, spec, x.shape[2:]))
    return xp.astype(total / _counts(xp, spec, x.shape[2:], total), x.dtype, copy=False)


def avg_backward(xp: Any, grad_output: Array, x: Array, spec: PoolSpec) -> Array:
    """Each window's gradient in even shares to its cells: (N, C, *input_size)."""
    wide = xp.astype(grad_output, computed(xp, x.dtype), copy=False)
    share = wide / _counts(xp, spec, x.shape[2:], wide)
    cells = reduce(lambda n, k: n * k, spec.kernel_size)
    grad = untaps(xp, [share] * cells, spec.kernel_size, spec, x.shape[2:])
    return xp.astype(grad, x.dtype, copy=False)
