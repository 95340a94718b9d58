"""Convolution through the convolution theorem: transform, multiply, transform back, over overlapping tiles.

Not local: a NaN or an infinity spreads over its whole tile, and a window of zeros may give about u times the largest
value near it. Errors are bounded by norms, not element by element [Percival, Math. Comp. 72, 2003, Thm 5.1].
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from refconv import threads
from refconv.blocks import Box, boxes
from refconv.spec import ConvSpec, Pairs, Sizes

__all__ = ["conv", "input_grad", "needs", "refuses", "tiling", "transform_size", "weight_grad"]

Array = NDArray[Any]

OVERHEAD = 2**17  # bytes of Python objects and of NumPy's own buffers
BLOCK = (
    2**17
)  # elements of tiles, or of kernels, transformed at a time: they stay in the cache until they are done with
TILES = (32, 64, 128, 256, 512, 1024)  # lengths of a tile worth trying, besides the whole axis


def _space(places: Iterable[slice | int]) -> tuple[Any, ...]:
    """Index the last axes, keep those before."""
    return (..., *places)


def refuses(name: str, spec: ConvSpec, input_size: Sizes, kernel_size: Sizes, dtype: np.dtype[Any]) -> str:
    """Why the call cannot be done; empty if it can."""
    return f"the transform needs floating-point numbers, not {dtype}" if dtype.kind not in "fc" else ""


def transform_size(spec: ConvSpec, input_size: Sizes, kernel_size: Sizes) -> Sizes:
    """Length of the transform on each axis; tiles are never longer.

    >>> transform_size(ConvSpec((1,), ((1, 1),), (1,)), (9,), (3,))
    (12,)
    """
    return tuple(
        max(_fast(n + before + after), _fast(e))
        for n, (before, after), e in zip(input_size, spec.padding, spec.extent(kernel_size), strict=True)
    )


def _fast(n: int) -> int:
    return int(scipy.fft.next_fast_len(max(1, n), real=True))


def _cost(lengths: Sizes, padded: Sizes, extent: Sizes, x: Sizes, w: Sizes) -> float:
    """Work of a tiling: transforms of all tiles, of the kernels and back, and the products between them."""
    (batch, groups, channels), out = x[:3], w[1]
    tiles = _count(lengths, padded, extent, batch)
    size = math.prod(lengths)
    transforms = groups * (tiles * (channels + out) + channels * out)
    return size * (2.5 * math.log2(max(2, size)) * transforms + 4 * groups * tiles * channels * out)


def _tiling(padded: Sizes, extent: Sizes, x: Sizes, w: Sizes) -> Sizes:
    """The cheapest lengths: whole axes, or tiles where an axis is longer than a tile."""
    whole = tuple(map(_fast, padded))
    choices = [whole]
    for tile in TILES:
        # A tile shorter than twice the kernel repeats more than it computes.
        choices.append(tuple(tile if 2 * e <= tile < n else n for n, e in zip(whole, extent, strict=True)))
    return min(choices, key=lambda lengths: _cost(lengths, padded, extent, x, w))


def tiling(spec: ConvSpec, x: Sizes, w: Sizes) -> tuple[int, int]:
    """How many tiles a convolution is cut into, and how many elements each has.

    >>> tiling(ConvSpec((1, 1), ((1, 1), (1, 1)), (1, 1)), (2, 3, 14, 14), (4, 3, 3, 3))
    (2, 256)
    """
    padded = tuple(n + before + after for n, (before, after) in zip(x[2:], spec.padding, strict=True))
    extent, outputs = spec.extent(w[2:]), w[0] // spec.groups
    lengths = _tiling(padded, extent, (x[0], spec.groups, w[1]), (spec.groups, outputs, w[1]))
    return _count(lengths, padded, extent, x[0]), math.prod(lengths)


def _count(lengths: Sizes, padded: Sizes, extent: Sizes, batch: int) -> int:
    steps = (math.ceil((n - e + 1) / (t - e + 1)) for n, e, t in zip(padded, extent, lengths, strict=True))
    return batch * math.prod(steps)


def _resized(x: Array, padding: Pairs) -> Array:
    """x with zeros added at both ends of its last axes, or elements taken away where the padding is negative."""
    rank = len(padding)
    cropped = x[_space(slice(max(0, -a), n - max(0, -b)) for n, (a, b) in zip(x.shape[-rank:], padding, strict=True))]
    grow = [(max(0, a), max(0, b)) for a, b in padding]
    return np.pad(cropped, [(0, 0)] * (x.ndim - rank) + grow) if any(map(any, grow)) else cropped


def _stretched(x: Array, step: Sizes) -> Array:
    """x with step - 1 zeros between neighbours on each of its last axes."""
    if all(s == 1 for s in step):
        return x
    rank = len(step)
    size = tuple((n - 1) * s + 1 if n else 0 for n, s in zip(x.shape[-rank:], step, strict=True))
    result = np.zeros((*x.shape[:-rank], *size), x.dtype)
    result[_space(slice(None, None, s) for s in step)] = x
    return result


def _forward(x: Array, lengths: Sizes) -> Array:
    axes = tuple(range(-len(lengths), 0))
    transform = scipy.fft.fftn if x.dtype.kind == "c" else scipy.fft.rfftn
    return np.asarray(transform(x, s=lengths, axes=axes))


def _inverse(spectrum: Array, lengths: Sizes, dtype: np.dtype[Any]) -> Array:
    axes = tuple(range(-len(lengths), 0))
    transform = scipy.fft.ifftn if dtype.kind == "c" else scipy.fft.irfftn
    return np.asarray(transform(spectrum, s=lengths, axes=axes))


def _contract(x: Array, w: Array) -> Array:
    """Sum over channels at each frequency: (T, groups, C, *f) and (groups, O, C, *f) -> (T, groups, O, *f)."""
    if w.shape[2] == 1:
        return x * w[:, :, 0]
    frequencies, size = x.shape[3:], math.prod(x.shape[3:])
    xs = x.reshape(*x.shape[:3], size).transpose(3, 1, 0, 2)  # (f, groups, T, C)
    ws = w.reshape(*w.shape[:3], size).transpose(3, 0, 2, 1)  # (f, groups, C, O)
    products = np.matmul(np.ascontiguousarray(xs), np.ascontiguousarray(ws)).transpose(2, 1, 3, 0)
    return np.ascontiguousarray(products).reshape(x.shape[0], *w.shape[:2], *frequencies)


def _tiles(x: Array, lengths: Sizes, extent: Sizes) -> tuple[Array, Sizes]:
    """Overlapping tiles of (N, groups, C, *n) as (N prod(counts), groups, C, *lengths), and the counts."""
    rank, batch = len(lengths), x.shape[0]
    counts = tuple(math.ceil((n - e + 1) / (t - e + 1)) for n, e, t in zip(x.shape[3:], extent, lengths, strict=True))
    if math.prod(counts) == 1:  # the transform itself adds the zeros at the end
        return x, counts
    steps = tuple(t - e + 1 for t, e in zip(lengths, extent, strict=True))
    total = tuple((c - 1) * step + t for c, step, t in zip(counts, steps, lengths, strict=True))
    x = _resized(x, tuple((0, m - n) for m, n in zip(total, x.shape[3:], strict=True)))
    view = np.lib.stride_tricks.as_strided(
        x,
        (batch, *counts, *x.shape[1:3], *lengths),
        (x.strides[0], *(a * b for a, b in zip(steps, x.strides[3:], strict=True)), *x.strides[1:]),
        writeable=False,
    )
    return view.reshape(batch * math.prod(counts), *view.shape[1 + rank :]), counts


def _joined(y: Array, counts: Sizes) -> Array:
    """Outputs of tiles, (N prod(counts), groups, O, *steps), side by side: (N, groups, O, *counts * steps)."""
    if math.prod(counts) == 1:
        return y
    rank, steps = len(counts), y.shape[3:]
    batch = y.shape[0] // math.prod(counts)
    tiles = y.reshape(batch, *counts, *y.shape[1:])
    order = [0, rank + 1, rank + 2]
    for axis in range(rank):
        order += [1 + axis, rank + 3 + axis]
    return tiles.transpose(order).reshape(batch, *y.shape[1:3], *(c * s for c, s in zip(counts, steps, strict=True)))


def needs(kind: str, spec: ConvSpec, x: Sizes, w: Sizes, itemsize: int) -> int:
    """The most bytes that a call allocates beside its operands and result; x and w are the convolution's shapes."""
    groups, extent = spec.groups, spec.extent(w[2:])
    padded = tuple(n + before + after for n, (before, after) in zip(x[2:], spec.padding, strict=True))
    stretched = tuple(max(0, p - 1) * s + 1 for p, s in zip(spec.output_size(x[2:], w[2:]), spec.stride, strict=True))
    images, kernel = (x[0], groups, w[1], *padded), (groups, w[0] // groups, w[1], *extent)
    if kind == "input_grad":
        wide = tuple(n + e - 1 for n, e in zip(x[2:], extent, strict=True))
        images, kernel = (x[0], groups, w[0] // groups, *wide), (groups, w[1], w[0] // groups, *extent)
    elif kind == "weight_grad":
        images, kernel = (w[1], groups, x[0], *padded), (groups, w[0] // groups, x[0], *stretched)
    elements = 2 * math.prod(images) + 2 * math.prod(kernel) + groups * w[0] // groups * x[0] * math.prod(stretched)
    return OVERHEAD + itemsize * elements + _bytes(images, kernel, itemsize)


def _bytes(x: Sizes, w: Sizes, itemsize: int) -> int:
    """What the spectra of all kernels hold, and of a block for each thread, with the copies that lie beside."""
    lengths = _tiling(x[3:], w[3:], x, w)
    tiles = _count(lengths, x[3:], w[3:], x[0])
    (groups, outputs, channels), size = w[:3], math.prod(lengths[:-1]) * (lengths[-1] + 2)
    block = max(2 * BLOCK, size * (channels + outputs))
    return itemsize * (size * groups * outputs * (channels + 2 * tiles) + 4 * threads.count() * block)


def _correlate(x: Array, w: Array) -> Array:
    """Every position where the kernel fits: (N, groups, C, *n), (groups, O, C, *e) -> (N, groups, O, *(n - e + 1))."""
    extent = w.shape[3:]
    dense = tuple(n - e + 1 for n, e in zip(x.shape[3:], extent, strict=True))
    if not (x.size and w.size and all(dense)):
        return np.zeros((x.shape[0], *w.shape[:2], *dense), x.dtype)
    lengths = _tiling(x.shape[3:], extent, x.shape, w.shape)
    tiles, counts = _tiles(x, lengths, extent)
    (groups, outputs, channels), count = w.shape[:3], tiles.shape[0]
    last = lengths[-1] if x.dtype.kind == "c" else lengths[-1] // 2 + 1
    kernels = np.empty((*w.shape[:3], *lengths[:-1], last), np.result_type(x.dtype, np.complex64))
    y = np.empty((count, groups, outputs, *(t - e + 1 for t, e in zip(lengths, extent, strict=True))), x.dtype)
    valid = _space(slice(0, step) for step in y.shape[3:])

    def transform(part: Box) -> None:
        # Conjugated twice, so that a complex kernel is itself not conjugated.
        np.conj(_forward(np.conj(w[part]), lengths), out=kernels[part])

    def convolve(part: Box) -> None:
        products = _contract(_forward(tiles[part], lengths), kernels[part[1]])
        y[part] = _inverse(products, lengths, x.dtype)[valid]

    number, room = threads.several(_cost(lengths, x.shape[3:], extent, x.shape, w.shape)), BLOCK // math.prod(lengths)
    threads.each(transform, boxes((groups, outputs), room // channels, number))
    threads.each(convolve, boxes((count, groups), room // (channels + outputs), number))
    joined: Array = _joined(y, counts)[_space(slice(0, n) for n in dense)]
    return joined


def _grouped(x: Array, groups: int) -> Array:
    """(N, C, *n) -> (N, groups, C/groups, *n)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _grouped_kernel(w: Array, groups: int) -> Array:
    """(O, C/groups, *k) -> (groups, O/groups, C/groups, *k)."""
    return w.reshape(groups, w.shape[0] // groups, *w.shape[1:])


def _sampled(y: Array, step: Sizes, size: Sizes) -> Array:
    """Every step-th element of the last axes, `size` of them."""
    kept: Array = y[_space(slice(0, (n - 1) * s + 1 if n else 0, s) for n, s in zip(size, step, strict=True))]
    return kept


def conv(x: Array, w: Array, spec: ConvSpec) -> Array:
    """x (N, C, *input_size), w (O, C/groups, *kernel_size) -> (N, O, *output_size), floating or complex.

    The stride keeps some of the outputs of stride 1; dilation puts zeros between the taps.

    >>> conv(np.arange(4.0).reshape(1, 1, 4), np.ones((1, 1, 2)), ConvSpec((1,), ((0, 0),), (1,))).round(9)
    array([[[1., 3., 5.]]])
    """
    output_size = spec.output_size(x.shape[2:], w.shape[2:])
    kernel = _stretched(_grouped_kernel(w, spec.groups), spec.dilation)
    y = _correlate(_resized(_grouped(x, spec.groups), spec.padding), kernel)
    y = np.ascontiguousarray(_sampled(y, spec.stride, output_size))
    return y.reshape(x.shape[0], w.shape[0], *output_size)


def input_grad(grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """dX = dZ, fully padded, with the kernel rotated by 180 degrees: -> (N, C, *input_size)."""
    kernel = _stretched(_grouped_kernel(w, spec.groups), spec.dilation).swapaxes(1, 2)
    rotated = np.flip(kernel, tuple(range(3, kernel.ndim)))
    g = _stretched(_grouped(grad_output, spec.groups), spec.stride)
    padding = tuple(
        (e - 1 - before, n - m + before)
        for e, (before, _), n, m in zip(kernel.shape[3:], spec.padding, input_size, g.shape[3:], strict=True)
    )
    grad = np.ascontiguousarray(_correlate(_resized(g, padding), rotated))
    return grad.reshape(grad_output.shape[0], spec.groups * w.shape[1], *input_size)


def weight_grad(grad_output: Array, x: Array, spec: ConvSpec, kernel_size: Sizes) -> Array:
    """dW = X correlated with dZ, images in the part of channels: -> (O, C/groups, *kernel_size).

    Stride and dilation change places: the kernel of this correlation is dZ.
    """
    kernel = _stretched(np.moveaxis(_grouped(grad_output, spec.groups), 0, 2), spec.stride)  # (groups, O, N, *p)
    images = np.swapaxes(_resized(_grouped(x, spec.groups), spec.padding), 0, 2)  # (C/groups, groups, N, *n)
    grad = _sampled(_correlate(images, kernel), spec.dilation, kernel_size)  # (C/groups, groups, O/groups, *k)
    shape = (grad_output.shape[1], x.shape[1] // spec.groups, *kernel_size)
    return np.ascontiguousarray(np.moveaxis(grad, 0, 2)).reshape(shape)
