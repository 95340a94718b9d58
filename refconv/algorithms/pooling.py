"""Pooling and its gradients in several independent ways, for any number of spatial axes.

Arrays are (N, C, *input_size); a `PoolSpec` holds the geometry. A *tap* is one cell of the window; for every tap
the outputs whose cell lies inside the input form a slice, so padding is never stored where it can be skipped.
Ways agree bit for bit on maxima (NaN included, signs of zero excepted) and on sums that are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import reduce
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from refconv.spec import PoolSpec, Sizes

__all__ = ["AVG_POOL", "AVG_POOL_BACKWARD", "MAX_POOL", "MAX_POOL_BACKWARD", "Way", "max_pool_indices"]

Array = NDArray[Any]

_NARROW = ("float16", "bfloat16")


class Way(NamedTuple):
    """One way to compute an operation: the function, what it does, and the error class it meets."""

    function: Callable[..., Array]
    summary: str
    claim: str


# ------------------------------------------------------------------------------------------------ geometry


def _axis_taps(n: int, out: int, k: int, stride: int, before: int, dilation: int) -> list[tuple[slice, slice]]:
    """For each tap of one axis: the outputs that read inside the input there, and what they read."""
    ranges = []
    for offset in range(-before, k * dilation - before, dilation):
        first = max(0, -(offset // stride))
        stop = max(first, min(out, (n - 1 - offset) // stride + 1))
        start = first * stride + offset
        ranges.append((slice(first, stop), slice(start, start + (stop - first) * stride, stride)))
    return ranges


def _all_axis_taps(spec: PoolSpec, input_size: Sizes) -> list[list[tuple[slice, slice]]]:
    befores = [before for before, _ in spec.padding]
    sizes = spec.output_size(input_size)
    return list(map(_axis_taps, input_size, sizes, spec.kernel_size, spec.stride, befores, spec.dilation))


def _spatial(slices: Iterable[slice]) -> Any:
    """The index of these slices of the spatial axes, every image and channel."""
    return (..., *slices)


def _taps(spec: PoolSpec, input_size: Sizes) -> Iterator[tuple[Any, Any]]:
    """For each tap of the window in row-major order: slices of the output, slices of the input."""
    for ranges in product(*_all_axis_taps(spec, input_size)):
        yield _spatial(dst for dst, _ in ranges), _spatial(src for _, src in ranges)


def _hull(spec: PoolSpec, input_size: Sizes) -> Sizes:
    """Size of the part of the padded input that windows cover, cells added by ceil mode included."""
    sizes = zip(spec.output_size(input_size), spec.stride, spec.extent, strict=True)
    return tuple((out - 1) * s + e for out, s, e in sizes)


def _padded(x: Array, spec: PoolSpec, fill: Any) -> Array:
    """The input surrounded by `fill`, cut to what windows cover: (N, C, *hull)."""
    hull = _hull(spec, x.shape[2:])
    inner = [slice(before, before + n) for n, (before, _) in zip(x.shape[2:], spec.padding, strict=True)]
    result = np.full((*x.shape[:2], *hull), fill, dtype=x.dtype)
    held = result[_spatial(inner)]
    held[...] = x[_spatial(map(slice, held.shape[2:]))]
    return result


def _windows(padded: Array, spec: PoolSpec) -> Array:
    """A view of every window: (N, C, *output_size, *kernel_size)."""
    axes = tuple(range(2, padded.ndim))
    steps = [slice(None, None, s) for s in (*spec.stride, *spec.dilation)]
    return sliding_window_view(padded, spec.extent, axis=axes)[(slice(None), slice(None), *steps)]


def _counts(spec: PoolSpec, input_size: Sizes) -> NDArray[np.float64]:
    """How many cells each window averages over: (*output_size).

    Cells of the padding count where `count_include_pad` says so; cells that ceil mode adds beyond it never do.
    """
    axes = zip(input_size, spec.output_size(input_size), spec.stride, spec.kernel_size, spec.padding, strict=True)
    counts = []
    for n, out, stride, k, (before, after) in axes:
        start = np.arange(out) * stride - before
        low, high = (-before, n + after) if spec.count_include_pad else (0, n)
        counts.append((np.minimum(start + k, high) - np.maximum(start, low)).astype(np.float64))
    return np.asarray(reduce(np.multiply.outer, counts))


def _lowest(dtype: np.dtype[Any]) -> Any:
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _wide(x: Array) -> Array:
    """float16 and bfloat16 as float32, which holds them exactly; the rest as they are."""
    return x.astype(np.float32) if x.dtype.name in _NARROW else x


def _own(result: Array, x: Array, dtype: np.dtype[Any]) -> Array:
    """The result in its final format and in memory of its own."""
    return result.astype(dtype, order="C", copy=result is x or result.base is not None)


# ------------------------------------------------------------------------------------------------ forward


def _fold_along(ufunc: np.ufunc, identity: Any, x: Array, axis: int, out: int, ranges: list[Any]) -> Array:
    """Fold the taps of one axis with `ufunc`; a tap inside the input for every output needs no identity below it."""
    at = (slice(None),) * axis
    whole = slice(0, out)
    covering = [x[(*at, src)] for dst, src in ranges if dst == whole]
    partial = [(dst, x[(*at, src)]) for dst, src in ranges if dst != whole and dst.stop > dst.start]
    if len(covering) == len(ranges) == 1:
        return covering[0]
    result = np.empty((*x.shape[:axis], out, *x.shape[axis + 1 :]), dtype=x.dtype)
    if len(covering) >= 2:
        ufunc(covering[0], covering[1], out=result)
    else:
        result[...] = covering[0] if covering else identity
    for values in covering[2:]:
        ufunc(result, values, out=result)
    for dst, values in partial:
        held = result[(*at, dst)]
        ufunc(held, values, out=held)
    return result


def _fold(ufunc: np.ufunc, identity: Any, x: Array, spec: PoolSpec) -> Array:
    """Fold the taps of the first spatial axis, then of the next: k + k passes where a window has k k cells."""
    ranges = _all_axis_taps(spec, x.shape[2:])
    for axis, out in enumerate(spec.output_size(x.shape[2:])):
        x = _fold_along(ufunc, identity, x, axis + 2, out, ranges[axis])
    return x


def max_separable(x: Array, spec: PoolSpec) -> Array:
    wide = _wide(x)
    return _own(_fold(np.maximum, _lowest(wide.dtype), wide, spec), x, x.dtype)


def max_doubling(x: Array, spec: PoolSpec) -> Array:
    """Maxima of 1, 2, 4 ... taps by joining two overlapping halves: log2(k) passes whatever the kernel size."""
    wide = _wide(x)
    best = _padded(wide, spec, _lowest(wide.dtype))
    for axis, (k, d, s) in enumerate(zip(spec.kernel_size, spec.dilation, spec.stride, strict=True), start=2):
        at, taps = (slice(None),) * axis, 1
        while taps < k:
            step = min(taps, k - taps)
            best = np.maximum(best[(*at, slice(None, -step * d))], best[(*at, slice(step * d, None))])
            taps += step
        best = best[(*at, slice(None, None, s))]
    return _own(best, x, x.dtype)


def max_windows(x: Array, spec: PoolSpec) -> Array:
    wide = _wide(x)
    axes = tuple(range(x.ndim, x.ndim + spec.rank))
    return _own(_windows(_padded(wide, spec, _lowest(wide.dtype)), spec).max(axis=axes), x, x.dtype)


def max_sorting(x: Array, spec: PoolSpec) -> Array:
    """NaN sorts after every number, so the last of a sorted window is NaN wherever the window holds one."""
    wide = _wide(x)
    windows = _windows(_padded(wide, spec, _lowest(wide.dtype)), spec)
    ordered = np.sort(windows.reshape(*windows.shape[: x.ndim], prod(spec.kernel_size)), axis=-1)
    return _own(ordered[..., -1], x, x.dtype)


def _mean(total: Array, counts: Array, x: Array) -> Array:
    return _own(total / counts.astype(total.dtype), x, x.dtype)


def avg_separable(x: Array, spec: PoolSpec) -> Array:
    return _mean(_fold(np.add, 0, _wide(x), spec), _counts(spec, x.shape[2:]), x)


def avg_windows(x: Array, spec: PoolSpec) -> Array:
    axes = tuple(range(x.ndim, x.ndim + spec.rank))
    return _mean(_windows(_padded(_wide(x), spec, 0), spec).sum(axis=axes), _counts(spec, x.shape[2:]), x)


def _correlate(padded: Array, kernel: Array, stride: Sizes, out: Sizes) -> Array:
    """Cross-correlation of every plane with one kernel: (N, C, *hull) and (*kernel_size) -> (N, C, *output_size)."""
    total = np.zeros((*padded.shape[:2], *out), dtype=padded.dtype)
    for tap in np.ndindex(*kernel.shape):
        reads = [slice(t, t + (o - 1) * s + 1, s) for t, o, s in zip(tap, out, stride, strict=True)]
        total += kernel[tap] * padded[_spatial(reads)]
    return total


def _counted_cells(spec: PoolSpec, input_size: Sizes, dtype: np.dtype[Any]) -> Array:
    """One in every cell that an average counts, zero elsewhere: (1, 1, *hull)."""
    cells = np.zeros((1, 1, *_hull(spec, input_size)), dtype=dtype)
    pads = list(zip(input_size, spec.padding, strict=True))
    counted = [slice(0, b + n + a) if spec.count_include_pad else slice(b, b + n) for n, (b, a) in pads]
    cells[_spatial(counted)] = 1
    return cells


def avg_convolution(x: Array, spec: PoolSpec) -> Array:
    """Average pooling is the cross-correlation with a constant kernel [LeCun et al. 1998].

    The kernel is all ones and the division comes last: the counts are the same cross-correlation of the cells
    that count, and a sum that is exact stays so where weights 1/count would round.
    """
    wide, out = _wide(x), spec.output_size(x.shape[2:])
    ones = np.ones(spec.kernel_size, dtype=wide.dtype)
    counts = _correlate(_counted_cells(spec, x.shape[2:], wide.dtype), ones, spec.stride, out)
    return _mean(_correlate(_padded(wide, spec, 0), ones, spec.stride, out), counts, x)


# ------------------------------------------------------------------------------------------------ gradients


def _unrecorded(x: Array, spec: PoolSpec) -> tuple[Array, int]:
    """An array for the winning tap of each window, and the number that means none."""
    none = prod(spec.kernel_size)
    shape = (*x.shape[:2], *spec.output_size(x.shape[2:]))
    return np.full(shape, none, dtype=np.min_scalar_type(none)), none


def _winners(x: Array, spec: PoolSpec) -> Array:
    """The tap that holds each window's maximum: first of equals, last of several NaN; (N, C, *output_size)."""
    best = max_separable(x, spec)
    winner, _ = _unrecorded(x, spec)
    for tap, (dst, src) in reversed(list(enumerate(_taps(spec, x.shape[2:])))):
        np.copyto(winner[dst], tap, where=x[src] == best[dst])
    if np.any(best != best):  # only where a window holds NaN does it differ from itself
        for tap, (dst, src) in enumerate(_taps(spec, x.shape[2:])):
            np.copyto(winner[dst], tap, where=x[src] != x[src])
    return winner


def _running_winners(x: Array, spec: PoolSpec) -> Array:
    """The same taps by one pass with a running maximum, which a larger value or a NaN replaces."""
    winner, none = _unrecorded(x, spec)
    best = np.zeros(winner.shape, dtype=x.dtype)
    for tap, (dst, src) in enumerate(_taps(spec, x.shape[2:])):
        values = x[src]
        takes = (values > best[dst]) | (winner[dst] == none) | (values != values)
        np.copyto(winner[dst], tap, where=takes)
        np.copyto(best[dst], values, where=takes)
    return winner


def max_pool_indices(x: Array, spec: PoolSpec) -> NDArray[np.intp]:
    """Flat spatial index of the recorded maximum of each window, as PyTorch's `return_indices`.

    Parameters
    ----------
    x : array, shape (N, C, *input_size)
        Any real format that `max_pool2d` takes.
    spec : PoolSpec
        Geometry of the windows; its rank is the number of spatial axes of `x`.

    Returns
    -------
    array of intp, shape (N, C, *output_size)
        The row-major index, within one plane of the input, of the first maximum in row-major order; of the last
        NaN where the window holds several; of the first cell inside the input where all are minus infinity.
        -1 for a window without any cell inside the input, which only dilation can make.

    Raises
    ------
    ValueError
        When `x` does not have two axes more than `spec`.

    Examples
    --------
    >>> from refconv.spec import pool_spec
    >>> max_pool_indices(np.array([[[1.0, 3.0, 2.0, 2.0]]]), pool_spec(1, 2))
    array([[[1, 2]]])
    """
    if x.ndim != spec.rank + 2:
        raise ValueError(f"`x` has shape {x.shape}, but must have {spec.rank + 2} axes: (N, C, *input_size)")
    return _indices(_winners(_wide(x), spec), x.shape[2:], spec)


def _indices(winner: Array, input_size: Sizes, spec: PoolSpec) -> NDArray[np.intp]:
    """Winning taps as flat spatial indices: first cell of the window plus the offset of the tap."""
    steps = [prod(input_size[axis + 1 :]) for axis in range(spec.rank)]
    offsets, origins = [], []
    for axis, out in enumerate(winner.shape[2:]):
        offsets.append(np.arange(spec.kernel_size[axis]) * spec.dilation[axis] * steps[axis])
        origins.append((np.arange(out) * spec.stride[axis] - spec.padding[axis][0]) * steps[axis])
    offset_of_tap = np.append(reduce(np.add.outer, offsets), 0)  # last row: no tap at all
    index = offset_of_tap[winner] + reduce(np.add.outer, origins)
    return np.where(winner == prod(spec.kernel_size), -1, index).astype(np.intp, copy=False)


def max_backward_argmax(g: Array, x: Array, spec: PoolSpec) -> Array:
    """Add each gradient at its recorded index.

    Windows are taken in turns such that those of one turn do not overlap: no index occurs twice in it, so that
    plain indexed addition is right.
    """
    wide, plane = _wide(g), prod(x.shape[2:])
    index = max_pool_indices(x, spec)
    grad = np.zeros((x.shape[0] * x.shape[1], plane), dtype=wide.dtype)
    rows = np.arange(len(grad)).reshape(*x.shape[:2], *(1,) * spec.rank)
    turns = [-(-e // s) for e, s in zip(spec.extent, spec.stride, strict=True)]
    for turn in product(*(range(min(t, out)) for t, out in zip(turns, g.shape[2:], strict=True))):
        some = _spatial(slice(first, None, t) for first, t in zip(turn, turns, strict=True))
        flat, values = (index[some] + rows * plane), wide[some]
        inside = index[some] >= 0
        if not inside.all():
            flat, values = flat[inside], values[inside]
        grad.reshape(-1)[flat] += values
    return _own(grad.reshape(x.shape), x, x.dtype)


def max_backward_taps(g: Array, x: Array, spec: PoolSpec) -> Array:
    wide = _wide(g)
    winner = _running_winners(_wide(x), spec)
    grad = np.zeros(x.shape, dtype=wide.dtype)
    for tap, (dst, src) in enumerate(_taps(spec, x.shape[2:])):
        grad[src] += np.where(winner[dst] == tap, wide[dst], wide.dtype.type(0))
    return _own(grad, x, x.dtype)


def _shares(g: Array, spec: PoolSpec, input_size: Sizes) -> Array:
    """What each cell of a window receives: the gradient divided by the count."""
    wide = _wide(g)
    return np.asarray(wide / _counts(spec, input_size).astype(wide.dtype))


def avg_backward_spread(g: Array, x: Array, spec: PoolSpec) -> Array:
    grad = _shares(g, spec, x.shape[2:])
    for axis, ranges in enumerate(_all_axis_taps(spec, x.shape[2:]), start=2):
        at = (slice(None),) * axis
        shares, grad = grad, np.zeros((*x.shape[: axis + 1], *grad.shape[axis + 1 :]), dtype=grad.dtype)
        for dst, src in ranges:
            grad[(*at, src)] += shares[(*at, dst)]
    return _own(grad, x, x.dtype)


def avg_backward_convolution(g: Array, x: Array, spec: PoolSpec) -> Array:
    """Up-sample by zeros between the shares, then correlate with the constant kernel, fully padded.

    The adjoint of a cross-correlation is the transposed one [LeCun et al. 1998]; a constant kernel is its
    own mirror image.
    """
    shares = _shares(g, spec, x.shape[2:])
    sizes = list(zip(spec.kernel_size, spec.stride, spec.padding, x.shape[2:], g.shape[2:], strict=True))
    stuffed = np.zeros((*x.shape[:2], *(n + k - 1 for k, _, _, n, _ in sizes)), dtype=shares.dtype)
    starts = [(k - 1 - before, s, out) for k, s, (before, _), _, out in sizes]
    stuffed[_spatial(slice(a, a + (out - 1) * s + 1, s) for a, s, out in starts)] = shares
    ones = np.ones(spec.kernel_size, dtype=shares.dtype)
    return _own(_correlate(stuffed, ones, (1,) * spec.rank, x.shape[2:]), x, x.dtype)


MAX_POOL: dict[str, Way] = {
    "separable": Way(max_separable, "running maximum over the taps of one axis, then of the next", "direct"),
    "doubling": Way(max_doubling, "maxima of 1, 2, 4 ... taps along each axis, for large kernels", "direct"),
    "windows": Way(max_windows, "maximum of a strided view of every window", "direct"),
    "sorting": Way(max_sorting, "last element of every sorted window", "direct"),
}
AVG_POOL: dict[str, Way] = {
    "separable": Way(avg_separable, "sums over the taps of one axis, then of the next", "direct"),
    "windows": Way(avg_windows, "sum of a strided view of every window", "direct"),
    "convolution": Way(avg_convolution, "cross-correlation with a constant kernel", "direct"),
}
MAX_POOL_BACKWARD: dict[str, Way] = {
    "argmax": Way(max_backward_argmax, "addition at the recorded index of each maximum", "direct"),
    "taps": Way(max_backward_taps, "for each tap, addition where it holds the maximum", "direct"),
}
AVG_POOL_BACKWARD: dict[str, Way] = {
    "spread": Way(avg_backward_spread, "even shares, added over the taps of one axis, then of the next", "direct"),
    "convolution": Way(avg_backward_convolution, "up-sampling, then a constant kernel, fully padded", "direct"),
}
