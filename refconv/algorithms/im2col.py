"""Convolution as one matrix product with the patches of the input (im2col); the gradient folds them back (col2im).

The patches of a whole input are `prod(kernel_size)` times as large as the input, so they are made block by block
into one buffer that stays in the cache. The border is materialised: an infinite weight over a padded tap
gives NaN.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv.scratch import buffer, strided
from refconv.spec import ConvSpec, Sizes

__all__ = ["conv", "fold", "input_grad", "lowers", "needs", "patches", "rotates", "weight_grad"]

Array = NDArray[Any]
Box = tuple[slice, ...]

OVERHEAD = 2**16  # bytes of Python objects and of NumPy's own buffers
BLOCK_BYTES = 2**21  # of patches at a time: they stay in the caches until they are multiplied
MANY_POSITIONS = 2048
THIN = 64  # output channels of a group, up to which a gradient is not folded
LOWERED_KERNELS = 2**14  # elements of a group's kernels that are arranged anew for each row of outputs
LOWERED_BYTES = 2**20  # of rows at a time, which are read several times
FEW_OUTPUTS = 4  # of a group, up to which the weight's gradient is added up row by row,
LONG_ROW = 32  # where a row has that many positions
MERGED_POSITIONS = 1024  # images with fewer outputs share one product


def _space(places: Iterable[slice | int]) -> tuple[Any, ...]:
    """Index the last axes, keep those before."""
    return (..., *places)


def _padded(x: Array, spec: ConvSpec) -> Array:
    """x with its border of zeros, C-contiguous, valid until the next call; x itself where it is that already."""
    if not any(map(any, spec.padding)):
        return np.ascontiguousarray(x)
    padded = buffer("padded", (*x.shape[: -spec.rank], *_padded_size(spec, x.shape[-spec.rank :])), x.dtype)
    padded.fill(0)
    padded[_inner(spec, x.shape[-spec.rank :])] = x
    return padded


def _inner(spec: ConvSpec, input_size: Sizes) -> tuple[Any, ...]:
    """Where the input lies in its padded form."""
    return _space(slice(before, before + n) for n, (before, _) in zip(input_size, spec.padding, strict=True))


def _windows(x: Array, kernel_size: Sizes, output_size: Sizes, spec: ConvSpec) -> Array:
    """A view of a padded (N, groups, C, *n) as (groups, C, *kernel_size, N, *output_size)."""
    image, group, channel, *space = x.strides
    return strided(
        x,
        (*x.shape[1:3], *kernel_size, x.shape[0], *output_size),
        (
            *(group, channel),
            *(d * step for d, step in zip(spec.dilation, space, strict=True)),
            image,
            *(s * step for s, step in zip(spec.stride, space, strict=True)),
        ),
    )


def _blocks(sizes: Sizes, room: int) -> Iterator[Box]:
    """Boxes of at most `room` elements that tile `sizes`, each one contiguous in row-major order."""
    if 0 < math.prod(sizes) <= room:
        yield tuple(slice(0, n) for n in sizes)
        return
    room, steps = max(1, room), []
    for n in reversed(sizes):
        steps.append(max(1, min(n, room)))
        room //= steps[-1]
    axes = [
        [slice(start, min(start + step, n)) for start in range(0, n, step)]
        for n, step in zip(sizes, reversed(steps), strict=True)
    ]
    yield from itertools.product(*axes)


def _image_blocks(batch: int, output_size: Sizes, bytes_each: int, outputs: int) -> Iterator[Box]:
    """Boxes over (N, *output_size) whose patches fit the budget; large images are never merged.

    A box has no fewer positions than a group has output channels, so that its patches are no fewer than the kernels:
    to arrange these for a product takes as long as to arrange as many patches.
    """
    room = max(BLOCK_BYTES // max(1, bytes_each), outputs)
    positions = math.prod(output_size)
    if positions >= MERGED_POSITIONS:
        room = min(room, positions)
    return _blocks((batch, *output_size), room)


def _span(box: Box) -> Sizes:
    return tuple(s.stop - s.start for s in box)


def _grouped(x: Array, groups: int) -> Array:
    """(N, C, *n) -> (N, groups, C/groups, *n)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _channels_first(x: Array, box: Box) -> Array:
    """The part of (N, groups, C, *n) in a box over (N, *n), as (groups, C, N, *n)."""
    return x[(box[0], slice(None), slice(None), *box[1:])].transpose(1, 2, 0, *range(3, x.ndim))


class _Columns:
    """Copies windows, box by box, into one buffer; each is a (groups, C prod(k), positions) matrix."""

    def __init__(self, x: Array, kernel_size: Sizes, output_size: Sizes, spec: ConvSpec) -> None:
        self.windows = _windows(_padded(_grouped(x, spec.groups), spec), kernel_size, output_size, spec)
        self.rows = self.windows.shape[: 2 + spec.rank]  # (groups, C/groups, *k)
        self.bytes_each = math.prod(self.rows) * x.itemsize

    def __call__(self, box: Box) -> Array:
        shape = (*self.rows, *_span(box))
        columns = buffer("columns", shape, self.windows.dtype)
        np.copyto(columns, self.windows[_space(box)])
        return columns.reshape(shape[0], math.prod(shape[1 : len(self.rows)]), math.prod(_span(box)))


def patches(x: Array, kernel_size: Sizes, spec: ConvSpec) -> Array:
    """im2col: every window of x as a column, so that a convolution is W X with the kernels as the rows of W.

    x (N, C, *input_size) -> (N, C prod(kernel_size), prod(output_size)). Rows are ordered channel, then tap.

    >>> patches(np.arange(9).reshape(1, 1, 3, 3), (2, 2), ConvSpec((1, 1), ((0, 0), (0, 0)), (1, 1)))[0]
    array([[0, 1, 3, 4],
           [1, 2, 4, 5],
           [3, 4, 6, 7],
           [4, 5, 7, 8]])
    """
    output_size = spec.output_size(x.shape[2:], kernel_size)
    windows = _windows(_padded(x[:, None], spec), kernel_size, output_size, spec)[0]  # (C, *k, N, *p)
    columns = np.moveaxis(windows, 1 + spec.rank, 0)
    shape = (x.shape[0], x.shape[1] * math.prod(kernel_size), math.prod(output_size))
    return np.ascontiguousarray(columns).reshape(shape)


def fold(columns: Array, kernel_size: Sizes, spec: ConvSpec, input_size: Sizes, output_size: Sizes = ()) -> Array:
    """col2im, the adjoint of `patches`: each entry is added to the place of the input that it was read from.

    columns (N, C prod(kernel_size), prod(output_size)) -> (N, C, *input_size).

    >>> spec = ConvSpec((1,), ((0, 0),), (1,))
    >>> fold(patches(np.array([[[1, 2, 3]]]), (2,), spec), (2,), spec, (3,))
    array([[[1, 4, 3]]])
    """
    output_size = output_size or spec.output_size(input_size, kernel_size)
    channels = columns.shape[1] // math.prod(kernel_size)
    taps_first = columns.reshape(columns.shape[0], channels, *kernel_size, *output_size)
    image = np.zeros((columns.shape[0], channels, *_padded_size(spec, input_size)), columns.dtype)
    whole = tuple(slice(0, p) for p in output_size)
    _scatter(image, np.moveaxis(taps_first, (0, 1), (spec.rank, spec.rank + 1)), whole, spec)
    return np.ascontiguousarray(image[_inner(spec, input_size)])


def _padded_size(spec: ConvSpec, input_size: Sizes) -> Sizes:
    return tuple(n + before + after for n, (before, after) in zip(input_size, spec.padding, strict=True))


def _scatter(image: Array, columns: Array, box: Box, spec: ConvSpec) -> None:
    """Add columns (*kernel_size, ..., *box) to the places of image (..., *padded_size) that they were read from."""
    for tap in itertools.product(*map(range, columns.shape[: spec.rank])):
        places = tuple(
            slice(t * d + b.start * s, t * d + (b.stop - 1) * s + 1, s)
            for t, d, b, s in zip(tap, spec.dilation, box, spec.stride, strict=True)
        )
        image[_space(places)] += columns[tap]


def conv(x: Array, w: Array, spec: ConvSpec) -> Array:
    """Y = W X, with X the patches: x (N, C, *input_size), w (O, C/groups, *kernel_size) -> (N, O, *output_size).

    >>> conv(np.arange(4.0).reshape(1, 1, 4), np.ones((1, 1, 2)), ConvSpec((1,), ((0, 0),), (1,)))
    array([[[1., 3., 5.]]])
    """
    kernel_size, groups = w.shape[2:], spec.groups
    output_size = spec.output_size(x.shape[2:], kernel_size)
    kernels = w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:]))
    y = np.empty((x.shape[0], groups, kernels.shape[1], *output_size), x.dtype)
    if _is_pointwise(kernel_size, spec):  # the input is its own matrix of patches
        flat = math.prod(output_size)
        xs = _grouped(x, groups)
        np.matmul(kernels, xs.reshape(*xs.shape[:3], flat), out=y.reshape(*y.shape[:3], flat))
        return y.reshape(x.shape[0], w.shape[0], *output_size)
    if lowers(spec, w.shape):
        _conv_lowered(x, w, spec, y)
        return y.reshape(x.shape[0], w.shape[0], *output_size)
    columns = _Columns(x, kernel_size, output_size, spec)
    for box in _image_blocks(x.shape[0], output_size, columns.bytes_each, kernels.shape[1]):
        _multiply(kernels, columns(box), y, box)
    return y.reshape(x.shape[0], w.shape[0], *output_size)


def needs(kind: str, spec: ConvSpec, x: Sizes, w: Sizes, itemsize: int) -> int:
    """The most bytes that a call allocates beside its operands and result; x and w are the convolution's shapes."""
    batch, taps, output_size = x[0], math.prod(w[2:]), spec.output_size(x[2:], w[2:])
    padded = batch * x[1] * math.prod(_padded_size(spec, x[2:]))
    y = batch * w[0] * math.prod(output_size)
    block = max(BLOCK_BYTES // itemsize, max(x[1], w[0]) * taps, math.prod(w))  # elements of the largest
    sides = (w[1], w[0] // spec.groups, output_size)
    if kind == "input_grad":  # the output's gradient is padded, or the input's folded
        padded += batch * w[0] * math.prod(n + e - 1 for n, e in zip(x[2:], spec.extent(w[2:]), strict=True))
        sides = (w[0] // spec.groups, w[1], x[2:])
    return OVERHEAD + itemsize * (
        padded + 2 * y + 4 * math.prod(w) + block + _lowered_room(spec, batch, *sides, w[2:], itemsize)
    )


def _lowered_room(
    spec: ConvSpec, batch: int, channels: int, outputs: int, output_size: Sizes, kernel_size: Sizes, itemsize: int
) -> int:
    """Elements of the largest box of lowered rows, and of the products that the weight's gradient adds up."""
    if not lowers(spec, (spec.groups * outputs, channels, *kernel_size)):
        return 0
    taps, step = kernel_size[0], spec.stride[0]
    height, line = channels * math.prod(kernel_size[1:]), math.prod(output_size[1:])
    room = max(1, LOWERED_BYTES // max(1, height * line * step * itemsize))
    rows = min(max(1, output_size[0]), room)
    many = min(batch * spec.groups, room // rows)
    products = rows * outputs * taps if outputs <= FEW_OUTPUTS else 0
    return many * height * (((rows - 1) * step + taps) * line + products)


def lowers(spec: ConvSpec, w: Sizes) -> bool:
    """Whether the taps of the first axis are left where they are; w is a weight's shape.

    Then only the taps of the other axes are copied, but each row of outputs is a product of its own, for which all
    kernels of a group are arranged anew: this pays while they are small.

    >>> spec = ConvSpec((1, 1), ((1, 1), (1, 1)), (1, 1))
    >>> lowers(spec, (64, 3, 7, 7)), lowers(spec, (64, 64, 3, 3))
    (True, False)
    """
    size = math.prod(w) // spec.groups
    return spec.rank > 1 and w[2] > 1 and spec.dilation[0] == 1 and size <= LOWERED_KERNELS


def _conv_lowered(x: Array, w: Array, spec: ConvSpec, y: Array) -> None:
    """Write the convolution to y (N, groups, O, *output_size), a product for each row of outputs."""
    kernels = w.reshape(spec.groups, y.shape[2], *w.shape[1:]).swapaxes(2, 3)  # the first axis' taps before channels
    kernels = kernels.reshape(*kernels.shape[:2], math.prod(w.shape[1:]))
    rows = y.reshape(*y.shape[:4], math.prod(y.shape[4:]))
    for (images, groups, some), matrices in _lowered(x, w.shape[2:], y.shape[3:], spec):
        np.matmul(kernels[groups, None], matrices, out=rows[images, groups, :, some].swapaxes(2, 3))


def _lowered(x: Array, kernel_size: Sizes, output_size: Sizes, spec: ConvSpec) -> Iterator[tuple[Box, Array]]:
    """The matrix of each row of outputs, (N, groups, rows, k_1 C prod(k_2 ...), positions), box by box.

    Lowered along all axes but the first [Cho & Brand, MEC: Memory-Efficient Convolution, ICML 2017]: with the input's
    rows outermost the taps of the first axis are neighbours already, so that the matrices are overlapping views.
    """
    x = _padded(_grouped(x, spec.groups), spec)
    taps, step = kernel_size[0], spec.stride[0]
    image, group, channel, row, *space = x.strides
    lines = strided(
        x,
        (*x.shape[:2], x.shape[3], x.shape[2], *kernel_size[1:], *output_size[1:]),
        (
            *(image, group, row, channel),
            *(d * s for d, s in zip(spec.dilation[1:], space, strict=True)),
            *(d * s for d, s in zip(spec.stride[1:], space, strict=True)),
        ),
    )
    positions = math.prod(output_size[1:])
    height = math.prod(lines.shape[3:]) // max(1, positions)
    room = LOWERED_BYTES // max(1, height * positions * step * x.itemsize)
    for box in _blocks((*x.shape[:2], output_size[0]), room):
        images, groups, rows = box
        part = lines[images, groups, rows.start * step : (rows.stop - 1) * step + taps]
        copy = buffer("columns", part.shape, x.dtype)
        np.copyto(copy, part)
        matrices = strided(
            copy,
            (*copy.shape[:2], rows.stop - rows.start, taps * height, positions),
            (*copy.strides[:2], step * copy.strides[2], positions * x.itemsize, x.itemsize),
        )
        yield box, matrices


def _is_pointwise(kernel_size: Sizes, spec: ConvSpec) -> bool:
    return all(k == 1 for k in kernel_size) and all(s == 1 for s in spec.stride) and not any(map(any, spec.padding))


def _multiply(kernels: Array, columns: Array, y: Array, box: Box) -> None:
    """Write kernels @ columns to a box of y (N, groups, O, *output_size); straight there if it is one image's."""
    if box[0].stop - box[0].start > 1:
        _channels_first(y, box)[...] = np.matmul(kernels, columns).reshape(*y.shape[1:3], *_span(box))
        return
    image = y[box[0].start].reshape(*y.shape[1:3], math.prod(y.shape[3:]))
    start = 0  # of the box among all positions
    for part, n in zip(box[1:], y.shape[3:], strict=True):
        start = start * n + part.start
    np.matmul(kernels, columns, out=image[..., start : start + columns.shape[-1]])


def input_grad(grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """col2im of W^T dY: grad_output (N, O, *output_size), w (O, C/groups, *kernel_size) -> (N, C, *input_size).

    For stride 1 it is also dY, fully padded, convolved with the rotated kernel; copying dY's patches takes less time
    than adding up columns where dY has few channels.
    """
    if rotates(spec, w.shape):
        return _input_grad_rotated(grad_output, w, spec, input_size)
    kernel_size, groups, batch = w.shape[2:], spec.groups, grad_output.shape[0]
    rows = (groups, w.shape[1], *kernel_size)
    transposed = w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:])).swapaxes(1, 2)
    gs = _grouped(grad_output, groups)
    grad = np.zeros((groups, w.shape[1], batch, *_padded_size(spec, input_size)), gs.dtype)
    for box in _image_blocks(batch, gs.shape[3:], math.prod(rows) * gs.itemsize, gs.shape[2]):
        g = _channels_first(gs, box).reshape(groups, gs.shape[2], math.prod(_span(box)))
        columns = buffer("columns", (groups, math.prod(rows[1:]), g.shape[2]), gs.dtype)
        columns = np.matmul(transposed, g, out=columns).reshape(*rows, *_span(box))
        _scatter(grad[:, :, box[0]], np.moveaxis(columns, (0, 1), (spec.rank, spec.rank + 1)), box[1:], spec)
    inner = np.moveaxis(grad[_inner(spec, input_size)], 2, 0)
    return np.ascontiguousarray(inner).reshape(batch, groups * w.shape[1], *input_size)


def rotates(spec: ConvSpec, w: Sizes) -> bool:
    """Whether the gradient of the input is convolved by the rotated kernel rather than folded; w is a weight's shape.

    >>> rotates(ConvSpec((1,), ((1, 1),), (1,)), (8, 8, 3)), rotates(ConvSpec((2,), ((1, 1),), (1,)), (8, 8, 3))
    (True, False)
    """
    thin = w[0] <= min(THIN * spec.groups, 3 * w[1] * spec.groups) or math.prod(w[2:]) == 1
    return thin and all(s == 1 for s in spec.stride)


def _input_grad_rotated(grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """dX = dZ, fully padded, with the kernel rotated by 180 degrees; stride 1."""
    swapped = w.reshape(spec.groups, w.shape[0] // spec.groups, *w.shape[1:]).swapaxes(1, 2)
    rotated = np.ascontiguousarray(np.flip(swapped, tuple(range(3, swapped.ndim))))
    rotated = rotated.reshape(spec.groups * w.shape[1], swapped.shape[2], *w.shape[2:])
    # Padding of e - 1 before, less what the convolution padded; negative where that is more: it crops.
    padding = tuple(
        (e - 1 - before, n - m + before)
        for e, (before, _), n, m in zip(
            spec.extent(w.shape[2:]), spec.padding, input_size, grad_output.shape[2:], strict=True
        )
    )
    inside = _space(slice(max(0, -a), m - max(0, -b)) for m, (a, b) in zip(grad_output.shape[2:], padding, strict=True))
    around = tuple((max(0, a), max(0, b)) for a, b in padding)
    return conv(grad_output[inside], rotated, ConvSpec(spec.stride, around, spec.dilation, spec.groups))


def weight_grad(grad_output: Array, x: Array, spec: ConvSpec, kernel_size: Sizes) -> Array:
    """dW = dY X^T: grad_output (N, O, *output_size), x (N, C, *input_size) -> (O, C/groups, *kernel_size)."""
    gs = _grouped(grad_output, spec.groups)
    if _is_pointwise(kernel_size, spec):
        return _weight_grad_pointwise(gs, _grouped(x, spec.groups), kernel_size)
    # Else to add up a product for each row takes longer than to copy the patches.
    pays = gs.shape[2] <= FEW_OUTPUTS and math.prod(gs.shape[4:]) >= LONG_ROW
    if pays and lowers(spec, (grad_output.shape[1], x.shape[1] // spec.groups, *kernel_size)):
        return _weight_grad_lowered(gs, x, kernel_size, spec)
    columns = _Columns(x, kernel_size, gs.shape[3:], spec)
    # X dY^T is the faster product, but to transpose its result pays only after many positions.
    swapped = x.shape[0] * math.prod(gs.shape[3:]) >= MANY_POSITIONS
    sides = (math.prod(columns.rows[1:]), gs.shape[2]) if swapped else (gs.shape[2], math.prod(columns.rows[1:]))
    grad = np.zeros((spec.groups, *sides), x.dtype)
    for box in _image_blocks(x.shape[0], gs.shape[3:], columns.bytes_each, gs.shape[2]):
        g = _channels_first(gs, box).reshape(spec.groups, gs.shape[2], math.prod(_span(box)))
        left, right = (columns(box), g) if swapped else (g, columns(box))
        grad += np.matmul(left, right.swapaxes(1, 2), out=buffer("products", grad.shape, grad.dtype))
    grad = np.ascontiguousarray(grad.swapaxes(1, 2)) if swapped else grad
    return grad.reshape(grad_output.shape[1], x.shape[1] // spec.groups, *kernel_size)


def _weight_grad_pointwise(gs: Array, xs: Array, kernel_size: Sizes) -> Array:
    """The same where the input is its own matrix of patches: (N, groups, O, *n) and (N, groups, C, *n)."""
    grad = np.zeros((*gs.shape[1:3], xs.shape[2]), xs.dtype)
    for g, x in zip(gs, xs, strict=True):
        flat = math.prod(x.shape[2:])
        grad += np.matmul(g.reshape(*g.shape[:2], flat), x.reshape(*x.shape[:2], flat).swapaxes(1, 2))
    return grad.reshape(grad.shape[0] * grad.shape[1], grad.shape[2], *kernel_size)


def _weight_grad_lowered(gs: Array, x: Array, kernel_size: Sizes, spec: ConvSpec) -> Array:
    """The sum over all rows of outputs of a product for each; gs is (N, groups, O, *output_size)."""
    channels = x.shape[1] // spec.groups
    grad = np.zeros((*gs.shape[1:3], channels * math.prod(kernel_size)), x.dtype)
    rows = gs.reshape(*gs.shape[:4], math.prod(gs.shape[4:]))
    for (images, groups, some), matrices in _lowered(x, kernel_size, gs.shape[3:], spec):
        products = np.matmul(rows[images, groups, :, some].swapaxes(2, 3), matrices.swapaxes(3, 4))
        grad[groups] += products.sum(axis=(0, 2))
    grad = grad.reshape(*gs.shape[1:3], kernel_size[0], channels, *kernel_size[1:]).swapaxes(2, 3)
    return grad.reshape(gs.shape[1] * gs.shape[2], channels, *kernel_size)
