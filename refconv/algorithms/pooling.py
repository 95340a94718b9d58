"""Pooling and its gradients in several independent ways, for any number of spatial axes.

Arrays are (N, C, *input_size); a `PoolSpec` holds the geometry. A *tap* is one cell of the window; for every tap
the outputs whose cell lies inside the input form a slice, so padding is never stored where it can be skipped.
Ways agree bit for bit on maxima (NaN included, signs of zero excepted) and on sums that are exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache, reduce
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from refconv import threads
from refconv.blocks import boxes
from refconv.dtypes import numpy_dtype
from refconv.scratch import buffer
from refconv.spec import PoolSpec, Sizes

__all__ = ["AVG_POOL", "AVG_POOL_BACKWARD", "MAX_POOL", "MAX_POOL_BACKWARD", "Way", "max_pool_indices"]

Array = NDArray[Any]
Taps = tuple[tuple[slice, slice], ...]

_NARROW = frozenset(map(numpy_dtype, ("float16", "bfloat16")))
_FEW_TAPS = 4  # of eight bytes each, that are read as far apart as the stride puts them
_BLOCK = 2**20  # bytes of input that are worked on at once: what comes of them stays in the cache
_CELL = 32  # multiply-adds that take as long as to fold a cell


class Way(NamedTuple):
    """One way to compute an operation: the function, what it does, and the error class it meets."""

    function: Callable[..., Array]
    summary: str
    claim: str


# ------------------------------------------------------------------------------------------------ geometry


class _Axis(NamedTuple):
    """One spatial axis: sizes of input and output, the window on it, and for each tap, outputs and what they read."""

    n: int
    out: int
    k: int
    stride: int
    dilation: int
    before: int
    hull: int  # size of the part of the padded input that windows cover
    taps: Taps

    @property
    def idle(self) -> bool:
        """Whether each cell is a window of its own."""
        return self.k == self.stride == 1 and self.out == self.n

    @property
    def inner(self) -> slice:
        """Where the input lies between its padding."""
        return slice(self.before, self.before + self.n)

    @property
    def width(self) -> int:
        """Size with the padding that windows cover, and the input beyond their reach."""
        return max(self.hull, self.before + self.n)


class _Geometry(NamedTuple):
    """What every call with the same windows on the same sizes needs."""

    axes: tuple[_Axis, ...]
    output_size: Sizes
    rows: tuple[tuple[int, Taps], ...]  # axes but the last, where they are not idle, counted from the planes' axis on
    widths: Sizes  # of planes with their padding
    whole: bool  # whether there is one window, over everything


def _axis_taps(n: int, out: int, k: int, stride: int, before: int, dilation: int) -> Taps:
    """For each tap of one axis: the outputs that read inside the input there, and what they read."""
    ranges = []
    for offset in range(-before, k * dilation - before, dilation):
        first = max(0, -(offset // stride))
        stop = max(first, min(out, (n - 1 - offset) // stride + 1))
        start = first * stride + offset
        ranges.append((slice(first, stop), slice(start, start + (stop - first) * stride, stride)))
    return tuple(ranges)


@lru_cache
def _geometry(spec: PoolSpec, input_size: Sizes) -> _Geometry:
    output_size, axes = spec.output_size(input_size), []
    befores = [before for before, _ in spec.padding]
    for n, out, *window in zip(
        input_size, output_size, spec.kernel_size, spec.stride, spec.dilation, befores, strict=True
    ):
        k, s, d, before = window
        hull = (out - 1) * s + (k - 1) * d + 1
        axes.append(_Axis(n, out, k, s, d, before, hull, _axis_taps(n, out, k, s, before, d)))
    rows = tuple((i, axis.taps) for i, axis in enumerate(axes[:-1], 1) if not axis.idle)
    widths = tuple(axis.width for axis in axes)
    whole = all(axis.out == axis.dilation == 1 and axis.k - axis.before >= axis.n for axis in axes)
    return _Geometry(tuple(axes), output_size, rows, widths, whole)


def _spatial(slices: Iterable[slice]) -> Any:
    """The index of these slices of the spatial axes, every image and channel."""
    return (..., *slices)


def _taps(spec: PoolSpec, input_size: Sizes) -> Iterator[tuple[Any, Any]]:
    """For each tap of the window in row-major order: slices of the output, slices of the input."""
    for ranges in product(*(axis.taps for axis in _geometry(spec, input_size).axes)):
        yield _spatial(dst for dst, _ in ranges), _spatial(src for _, src in ranges)


def _padded(x: Array, spec: PoolSpec, fill: Any) -> Array:
    """The input surrounded by `fill`, cut to what windows cover: (N, C, *hull)."""
    hull = tuple(axis.hull for axis in _geometry(spec, x.shape[2:]).axes)
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


@lru_cache
def _counts(spec: PoolSpec, input_size: Sizes, dtype: np.dtype[Any]) -> Array:
    """How many cells each window averages over: (*output_size), or () where it is the same for all.

    Cells of the padding count where `count_include_pad` says so; cells that ceil mode adds beyond it never do.
    """
    counts = []
    for axis, (before, after) in zip(_geometry(spec, input_size).axes, spec.padding, strict=True):
        start = np.arange(axis.out) * axis.stride - before
        low, high = (-before, axis.n + after) if spec.count_include_pad else (0, axis.n)
        counts.append((np.minimum(start + axis.k, high) - np.maximum(start, low)).astype(np.float64))
    every = np.asarray(reduce(np.multiply.outer, counts), dtype=dtype)
    if every.size and np.all(every == every.reshape(-1)[0]):
        every = every.reshape(-1)[:1].reshape(())
    every.flags.writeable = False
    return every


def _lowest(dtype: np.dtype[Any]) -> Any:
    return np.iinfo(dtype).min if dtype.kind in "iu" else -np.inf


def _wide(x: Array) -> Array:
    """float16 and bfloat16 as float32, which holds them exactly; the rest as they are."""
    return x.astype(np.float32) if x.dtype in _NARROW else x


def _own(result: Array, x: Array, dtype: np.dtype[Any]) -> Array:
    """The result in its final format and in memory of its own."""
    return result.astype(dtype, order="C", copy=result is x or result.base is not None)


# ------------------------------------------------------------------------------------------------ forward


def _fold_rows(ufunc: np.ufunc, identity: Any, x: Array, axis: int, taps: Taps, result: Array) -> None:
    """Fold the taps of an axis into `result`; a tap inside the input for every output needs no identity below it."""
    at, out = (slice(None),) * axis, result.shape[axis]
    covering = [x[(*at, src)] for dst, src in taps if dst.stop - dst.start == out]
    if len(covering) >= 2:
        ufunc(covering[0], covering[1], out=result)
    else:
        result[...] = covering[0] if covering else identity
    for values in covering[2:]:
        ufunc(result, values, out=result)
    for dst, src in taps:
        if 0 < dst.stop - dst.start < out:
            held = result[(*at, dst)]
            ufunc(held, x[(*at, src)], out=held)


def _fold_flat(ufunc: np.ufunc, flat: Array, taps: int, step: int) -> Array:
    """Fold `taps` elements, `step` apart, from every element of a flat array on: about log2(taps) contiguous passes.

    Windows of m taps, joined in pairs, are windows of 2 m; one element more, of 2 m + 1. The last (taps - 1) * step
    elements have no whole window, and are left out.
    """
    total, m = flat, 1
    for i, digit in enumerate(bin(taps)[3:]):
        length = flat.size - (2 * m - 1) * step
        pairs = buffer(f"pooling line {i % 2}", (length,), flat.dtype)
        total = ufunc(total[:length], total[m * step : m * step + length], out=pairs)
        m *= 2
        if digit == "1":
            total = total[: length - step]
            ufunc(total, flat[m * step :], out=total)
            m += 1
    return total


def _planes(x: Array) -> Array:
    """Every channel of every image, one after the other: (N C, *input_size)."""
    n, c, *size = x.shape
    return x.reshape(n * c, *size)


def _in_blocks(planes: Array, do: Callable[[slice, Array], object]) -> None:
    """Call `do` with so many planes at a time that they fit into the cache: which, and what they hold."""
    room = _BLOCK * len(planes) // max(1, planes.nbytes)
    parts = boxes((len(planes),), room, threads.several(_CELL * planes.size))
    threads.each(lambda box: do(box[0], planes[box]), parts)


def _separable(ufunc: np.ufunc, identity: Any, x: Array, spec: PoolSpec, put: Callable[[slice, Array], object]) -> None:
    """Fold the taps of the first spatial axis, then of the next: k + k passes where a window has k k cells.

    `put` is given some of the planes with what their windows give, (planes, *output_size), valid until it returns. All
    axes but the last are folded row by row. The last is folded as if one row followed another in a line: of the windows
    at every element, those are read that the stride leaves. Elements of eight bytes are folded as far apart as the
    stride puts them, if windows are small.
    """
    (*_, last), output_size, working, (*_, width), _ = _geometry(spec, x.shape[2:])
    bordered, inner = width > last.n, last.inner
    apart = last.stride > 1 and last.k <= _FEW_TAPS and x.itemsize >= 8
    if apart:
        working, bordered = (*working, (spec.rank, last.taps)), False

    def fold(some: slice, block: Array) -> None:
        shape = (len(block), *output_size[:-1], last.out if apart else width)
        lines = buffer("pooling lines", shape, x.dtype) if working or bordered else block
        for i, taps in working[:-1]:
            rows = buffer(f"pooling rows {i}", (*shape[: i + 1], *block.shape[i + 1 :]), x.dtype)
            _fold_rows(ufunc, identity, block, i, taps, rows)
            block = rows
        if working:
            i, taps = working[-1]
            _fold_rows(ufunc, identity, block, i, taps, lines if apart else lines[..., inner])
        elif bordered:
            lines[..., inner] = block
        if bordered:
            lines[..., : inner.start] = lines[..., inner.stop :] = identity
        if apart:
            put(some, lines)
            return
        total = _fold_flat(ufunc, lines.reshape(-1), last.k, last.dilation)
        steps = (*lines.strides[:-1], last.stride * lines.itemsize)
        put(some, np.ndarray((*shape[:-1], last.out), lines.dtype, total, strides=steps))

    _in_blocks(_planes(np.ascontiguousarray(x)), fold)


def _unfilled(x: Array, spec: PoolSpec) -> Array:
    """Memory for the result: (N, C, *output_size)."""
    return np.empty((*x.shape[:2], *_geometry(spec, x.shape[2:]).output_size), x.dtype)


def max_separable(x: Array, spec: PoolSpec) -> Array:
    wide = _wide(x)
    result = _unfilled(wide, spec)
    planes = _planes(result)
    _separable(np.maximum, _lowest(wide.dtype), wide, spec, planes.__setitem__)
    return result.astype(x.dtype, copy=False)


def _bordered(x: Array, spec: PoolSpec, fill: Any, do: Callable[[slice, Array], None]) -> None:
    """Call `do` with some of the planes and their padding, (planes, *widths), valid until it returns."""
    axes, *_, widths, _ = _geometry(spec, x.shape[2:])
    inner = _spatial(axis.inner for axis in axes)

    def surround(some: slice, block: Array) -> None:
        if widths != block.shape[1:]:
            inside, block = block, buffer("pooling block", (len(block), *widths), x.dtype)
            block.fill(fill)
            block[inner] = inside
        do(some, block)

    _in_blocks(_planes(np.ascontiguousarray(x)), surround)


@lru_cache
def _joins(spec: PoolSpec, sizes: Sizes) -> tuple[tuple[int, int], ...]:
    """How windows of one cell grow to the whole window by joining two that overlap, the last axis first.

    For each join, how far the later of the two is from the first: in elements of a plane of those sizes, and in taps.
    """
    joins, weight = [], 1
    for axis in reversed(range(spec.rank)):
        k, step, taps = spec.kernel_size[axis], spec.dilation[axis] * prod(sizes[axis + 1 :]), 1
        while taps < k:
            more = min(taps, k - taps)
            joins.append((more * step, more * weight))
            taps += more
        weight *= k
    return tuple(joins)


def _starts(flat: Array, block: Array, spec: PoolSpec, output_size: Sizes) -> Array:
    """What a flat array of a block's cells holds where windows start: (planes, *output_size)."""
    steps = [stride * prod(block.shape[i:]) for i, stride in enumerate((1, *spec.stride), 1)]
    strides = tuple(step * flat.itemsize for step in steps)
    return np.ndarray((len(block), *output_size), flat.dtype, flat, strides=strides)


def max_doubling(x: Array, spec: PoolSpec) -> Array:
    """Maxima of 1, 2, 4 ... taps by joining two overlapping halves: log2(k) passes whatever the kernel size."""
    wide = _wide(x)
    result = _unfilled(wide, spec)
    planes = _planes(result)

    def join(some: slice, block: Array) -> None:
        best = block.reshape(-1)
        for i, (shift, _) in enumerate(_joins(spec, block.shape[1:])):
            joined = buffer(f"pooling value {i % 2}", (best.size - shift,), best.dtype)
            best = np.maximum(best[:-shift], best[shift:], out=joined)
        planes[some] = _starts(best, block, spec, planes.shape[1:])

    _bordered(wide, spec, _lowest(wide.dtype), join)
    return result.astype(x.dtype, copy=False)


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


def avg_separable(x: Array, spec: PoolSpec) -> Array:
    wide, input_size = _wide(x), x.shape[2:]
    result, counts = _unfilled(wide, spec), _counts(spec, input_size, wide.dtype)
    if _geometry(spec, input_size).whole:
        flat = wide.reshape(-1, prod(input_size))
        np.divide(flat @ np.ones(flat.shape[1], wide.dtype), counts, out=result.reshape(-1))
    else:
        planes = _planes(result)
        _separable(np.add, 0, wide, spec, lambda some, total: np.divide(total, counts, out=planes[some]))
    return result.astype(x.dtype, copy=False)


def avg_windows(x: Array, spec: PoolSpec) -> Array:
    wide = _wide(x)
    total = _windows(_padded(wide, spec, 0), spec).sum(axis=tuple(range(x.ndim, x.ndim + spec.rank)))
    return _own(total / _counts(spec, x.shape[2:], wide.dtype), x, x.dtype)


def _correlate(padded: Array, kernel: Array, stride: Sizes, out: Sizes) -> Array:
    """Cross-correlation of every plane with one kernel: (N, C, *hull) and (*kernel_size) -> (N, C, *output_size)."""
    total = np.zeros((*padded.shape[:2], *out), dtype=padded.dtype)
    for tap in np.ndindex(*kernel.shape):
        reads = [slice(t, t + (o - 1) * s + 1, s) for t, o, s in zip(tap, out, stride, strict=True)]
        total += kernel[tap] * padded[_spatial(reads)]
    return total


def _counted_cells(spec: PoolSpec, input_size: Sizes, dtype: np.dtype[Any]) -> Array:
    """One in every cell that an average counts, zero elsewhere: (1, 1, *hull)."""
    cells = np.zeros((1, 1, *(axis.hull for axis in _geometry(spec, input_size).axes)), dtype=dtype)
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
    return _own(_correlate(_padded(wide, spec, 0), ones, spec.stride, out) / counts, x, x.dtype)


# ------------------------------------------------------------------------------------------------ gradients


def _first_maxima(flat: Array, joins: tuple[tuple[int, int], ...], taps: int) -> Array:
    """The tap that holds the maximum of the window that starts at each cell.

    Of the two halves that are joined, the later wins where its maximum is larger, or NaN: the first of equals wins in
    row-major order, the last of several NaN. The winner's number is found by arithmetic modulo that of its format.
    """
    dtype = np.min_scalar_type(taps - 1)
    value, tap = flat, buffer("pooling tap", flat.shape, dtype)
    tap.fill(0)
    numbers = flat.dtype.kind in "iu" or not np.isnan(np.max(flat))
    for i, (shift, more) in enumerate(joins):
        first, second, size = value[:-shift], value[shift:], value.size - shift
        later = np.greater(second, first, out=buffer("pooling later", (size,), np.dtype(bool)))
        if not numbers:
            later |= np.isnan(second)
        winner = buffer(f"pooling tap {i % 2}", (size,), dtype)
        np.subtract(tap[shift:], tap[:-shift], out=winner)
        winner += dtype.type(more)
        winner *= later.view(np.uint8)
        winner += tap[:-shift]
        value, tap = np.maximum(first, second, out=buffer(f"pooling value {i % 2}", (size,), flat.dtype)), winner
    return tap


@lru_cache
def _first_inside(spec: PoolSpec, output_size: Sizes, dtype: np.dtype[Any]) -> Array:
    """The first tap of each window that is not in leading padding: (*output_size)."""
    first, axes = (
        np.zeros((), int),
        zip(output_size, spec.kernel_size, spec.stride, spec.dilation, spec.padding, strict=True),
    )
    for out, k, s, d, (before, _) in axes:
        taps = -((np.arange(out) * s - before) // d)
        first = np.add.outer(first * k, np.clip(taps, 0, k - 1))
    return first.astype(dtype)


def _winners(x: Array, spec: PoolSpec, put: Callable[[slice, Array, Array], object]) -> None:
    """Give `put` some of the planes: which, with their padding, and the tap that holds each window's maximum.

    Padding wins only where there is nothing but the lowest number in the window, and then gives way to the first cell.
    """
    output_size = _geometry(spec, x.shape[2:]).output_size

    def win(some: slice, block: Array) -> None:
        tap = _first_maxima(block.reshape(-1), _joins(spec, block.shape[1:]), prod(spec.kernel_size))
        winner = _starts(tap, block, spec, output_size)
        if any(before for before, _ in spec.padding):
            winner = np.maximum(winner, _first_inside(spec, output_size, tap.dtype))
        put(some, block, winner)

    _bordered(x, spec, _lowest(x.dtype), win)


@lru_cache(maxsize=16)
def _places(spec: PoolSpec, sizes: Sizes, output_size: Sizes) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Flat index of each tap from the first on: (taps,); of the first of each window: (*output_size)."""
    steps = [prod(sizes[axis + 1 :]) for axis in range(spec.rank)]
    offsets = [np.arange(k) * d * step for k, d, step in zip(spec.kernel_size, spec.dilation, steps, strict=True)]
    origins = [np.arange(out) * s * step for out, s, step in zip(output_size, spec.stride, steps, strict=True)]
    return reduce(np.add.outer, offsets).reshape(-1), reduce(np.add.outer, origins)


def _unrecorded(x: Array, spec: PoolSpec) -> tuple[Array, int]:
    """An array for the winning tap of each window, and the number that means none."""
    none = prod(spec.kernel_size)
    shape = (*x.shape[:2], *spec.output_size(x.shape[2:]))
    return np.full(shape, none, dtype=np.min_scalar_type(none)), none


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
    input_size, output_size = x.shape[2:], spec.output_size(x.shape[2:])
    index = np.empty((*x.shape[:2], *output_size), np.intp)
    offsets, origins = _places(spec, input_size, output_size)
    planes = _planes(index)
    _winners(_wide(x), spec, lambda some, _, winner: np.add(np.take(offsets, winner), origins, out=planes[some]))
    index -= sum(before * prod(input_size[i:]) for i, (before, _) in enumerate(spec.padding, 1))
    holds = np.zeros(output_size, bool)
    for dst, _ in _taps(spec, input_size):
        holds[dst] = True
    index[..., ~holds] = -1
    return index


def _sums_at(index: Array, values: Array, cells: int) -> Array:
    """For each cell, the sum of the values that are to go there, in float64 or exact.

    Integers of 64 bits are added in two halves, each exact in float64, and modulo 2^64: there is room for the sum.
    """
    if values.dtype.kind not in "iu" or values.dtype.itemsize < 8:
        return np.asarray(np.bincount(index, values, cells))
    high, low = (np.bincount(index, part, cells).astype(values.dtype) for part in (values >> 32, values & 0xFFFFFFFF))
    return np.asarray((high << 32) + low)


def max_backward_argmax(g: Array, x: Array, spec: PoolSpec) -> Array:
    """Add each gradient at its recorded index."""
    wide, axes = _wide(g), _geometry(spec, x.shape[2:]).axes
    grad = np.empty(x.shape, wide.dtype)
    planes, gradients = _planes(grad), _planes(wide)

    def add(some: slice, block: Array, winner: Array) -> None:
        offsets, origins = _places(spec, block.shape[1:], g.shape[2:])
        index = np.take(offsets, winner)
        index += origins
        index += np.arange(0, block.size, block[0].size).reshape(-1, *(1,) * spec.rank)
        sums = _sums_at(index.reshape(-1), gradients[some].reshape(-1), block.size).reshape(block.shape)
        planes[some] = sums[_spatial(axis.inner for axis in axes)]

    _winners(_wide(x), spec, add)
    return grad.astype(x.dtype, copy=False)


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
    return np.asarray(wide / _counts(spec, input_size, wide.dtype))


def _spread_rows(shares: Array, axis: int, stride: int, taps: Taps, result: Array) -> None:
    """Add each row to all rows of its windows: those that no tap has written yet are written, by the longest taps."""
    at, written, n = (slice(None),) * axis, dict[int, int](), result.shape[axis]
    longest = sorted(taps, key=lambda tap: tap[0].start - tap[0].stop)
    for dst, src in longest:  # taps a stride apart write to the same rows
        written.setdefault(src.start % stride, dst.stop - dst.start)
    if sum(written.values()) < n:
        result[...] = 0
    for dst, src in longest:
        rows, values = result[(*at, src)], shares[(*at, dst)]
        if written.pop(src.start % stride, None) is None:
            np.add(rows, values, out=rows)
        else:
            rows[...] = values


def avg_backward_spread(g: Array, x: Array, spec: PoolSpec) -> Array:
    """The shares stand in lines, zeros between them, and are folded back over the windows; then row by row."""
    (*_, last), output_size, working, (*_, width), whole = _geometry(spec, x.shape[2:])
    wide, counts = _wide(g), _counts(spec, x.shape[2:], _wide(g).dtype)
    grad = np.empty(x.shape, wide.dtype)
    planes, gradients = _planes(grad), _planes(wide)

    def spread(some: slice, block: Array) -> None:
        part = gradients[some]
        if whole:
            block[...] = part / counts
            return
        lines = buffer("pooling lines", (len(part), *output_size[:-1], width + last.k - 1), wide.dtype)
        lines.fill(0)
        np.divide(part, counts, out=lines[..., last.k - 1 : last.k + (last.out - 1) * last.stride : last.stride])
        folded = _fold_flat(np.add, lines.reshape(-1), last.k, 1)
        offset = last.before * lines.itemsize
        shares = np.ndarray((*lines.shape[:-1], last.n), lines.dtype, folded, offset, lines.strides)
        for i, taps in reversed(working):
            first = i == working[0][0]
            rows = block if first else buffer(f"pooling rows {i}", (*part.shape[:i], *block.shape[i:]), wide.dtype)
            _spread_rows(shares, i, spec.stride[i - 1], taps, rows)
            shares = rows
        if not working:
            block[...] = shares

    _in_blocks(planes, spread)
    return grad.astype(x.dtype, copy=False)


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
