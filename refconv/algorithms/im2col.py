"""Convolution as one matrix product with the patches of the input (im2col); the gradient folds them back (col2im).

The patches of a whole input are `prod(kernel_size)` times as large as the input, so they are made block by block
into one buffer that stays in the cache, of each thread its own. The border is materialised: an infinite weight over a
padded tap gives NaN.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refconv import threads
from refconv.blocks import Box, boxes, span
from refconv.scratch import buffer, placed, strided
from refconv.spec import ConvSpec, Sizes

__all__ = ["conv", "fold", "input_grad", "lowers", "needs", "patches", "rotates", "weight_grad"]

Array = NDArray[Any]

OVERHEAD = 2**16  # bytes of Python objects and of NumPy's own buffers
BLOCK_BYTES = 2**21  # of patches at a time: they stay in the caches until they are multiplied
MANY_POSITIONS = 2048
THIN = 64  # output channels of a group, up to which a gradient is not folded,
FEW_ELEMENTS = 2**14  # nor where to begin its additions, one for each tap, would take longer than they do
LOWERED_KERNELS = 2**14  # elements of a group's kernels that are arranged anew for each row of outputs
LOWERED_BYTES = 2**20  # of rows at a time, which are read several times
FEW_OUTPUTS = 4  # of a group: a product with so few rows is no faster for having many columns,
LONG_ROW = 32  # other products are slow with fewer columns
MERGED_POSITIONS = 1024  # images with fewer outputs share one product


def _space(places: Iterable[slice | int]) -> tuple[Any, ...]:
    """Index the last axes, keep those before."""
    return (..., *places)


def _padded(x: Array, spec: ConvSpec) -> Array:
    """x with its border of zeros, C-contiguous, valid until the next call; x itself where it is that already."""
    if not any(map(any, spec.padding)):
        return np.ascontiguousarray(x)
    return placed("padded", x, spec.padding, _padded_size(spec, x.shape[-spec.rank :]))


def _inner(spec: ConvSpec, input_size: Sizes) -> tuple[Any, ...]:
    """Where the input lies in its padded form."""
    return _space(slice(before, before + n) for n, (before, _) in zip(input_size, spec.padding, strict=True))


def _windows(x: Array, kernel_size: Sizes, output_size: Sizes, spec: ConvSpec) -> Array:
    """A view of a padded (N, groups, C, *n) as (groups, C, *kernel_size, N, *output_size)."""
    return strided(x, *_window_view(x.shape, x.strides, kernel_size, output_size, spec))


def _window_view(
    shape: Sizes, strides: Sizes, kernel_size: Sizes, output_size: Sizes, spec: ConvSpec
) -> tuple[Sizes, Sizes]:
    """Shape and strides of that view."""
    image, group, channel, *space = strides
    return (
        (*shape[1:3], *kernel_size, shape[0], *output_size),
        (
            *(group, channel),
            *(d * step for d, step in zip(spec.dilation, space, strict=True)),
            image,
            *(s * step for s, step in zip(spec.stride, space, strict=True)),
        ),
    )


def _image_blocks(batch: int, output_size: Sizes, bytes_each: int, outputs: int, number: int) -> list[Box]:
    """Boxes over (N, *output_size) whose patches fit the budget; large images are never merged.

    A box has no fewer positions than a group has output channels, so that its patches are no fewer than the kernels:
    to arrange these for a product takes as long as to arrange as many patches. Nor has it fewer for being one of a
    `number` of threads': these share the kernels then.
    """
    room = max(BLOCK_BYTES // max(1, bytes_each), outputs)
    positions = math.prod(output_size)
    if positions >= MERGED_POSITIONS:
        room = min(room, positions)
    return boxes((batch, *output_size), room, number if batch * positions >= number * outputs else 1)


def _grouped(x: Array, groups: int) -> Array:
    """(N, C, *n) -> (N, groups, C/groups, *n)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _channels_first(x: Array, box: Box) -> Array:
    """The part of (N, groups, C, *n) in a box over (N, *n), as (groups, C, N, *n)."""
    return x[(box[0], slice(None), slice(None), *box[1:])].transpose(1, 2, 0, *range(3, x.ndim))


class _Block(NamedTuple):
    """Some of the outputs, all of whose patches are multiplied at once."""

    box: Box  # over (N, *output_size)
    windows: tuple[Any, ...]  # the same of a view of all windows
    shape: Sizes  # of their patches: (groups, C/groups, *kernel_size, *span)
    matrix: Sizes  # the same as (groups, C/groups prod(kernel_size), positions)
    first: int  # of the outputs, counted in their image


class _Plan(NamedTuple):
    """How the patches of inputs of one shape are read."""

    output_size: Sizes
    grouped: Sizes  # the input's shape as (N, groups, C/groups, *input_size)
    windows: tuple[Sizes, Sizes]  # shape and strides of a view of the padded input
    patches: int  # elements of those of one image
    threads: int
    blocks: tuple[_Block, ...]

    def view(self, x: Array, spec: ConvSpec) -> Array:
        """All windows of the input, in its padded form: (groups, C/groups, *kernel_size, N, *output_size)."""
        return strided(_padded(x.reshape(self.grouped), spec), *self.windows)


def _columns(windows: Array, block: _Block) -> Array:
    """The patches of a block, valid until this thread's next: (groups, C/groups prod(k), positions)."""
    columns = buffer("columns", block.shape, windows.dtype)
    np.copyto(columns, windows[block.windows])
    return columns.reshape(block.matrix)


def _work(spec: ConvSpec, x: Sizes, w: Sizes) -> int:
    """What it takes, in multiply-adds."""
    return x[0] * math.prod(spec.output_size(x[2:], w[2:])) * math.prod(w[1:]) * (w[0] + threads.ELEMENT * spec.groups)


@functools.lru_cache(64)
def _plan(spec: ConvSpec, x: Sizes, w: Sizes, itemsize: int, count: int) -> _Plan:
    """That of these shapes for a count of threads: to work it out takes as long as the product of a small one."""
    kernel_size, groups, rank = w[2:], spec.groups, spec.rank
    output_size = spec.output_size(x[2:], kernel_size)
    grouped, rows = (x[0], groups, x[1] // groups, *x[2:]), (groups, w[1], *kernel_size)
    padded = (*grouped[:3], *_padded_size(spec, x[2:]))
    strides = tuple(math.prod(padded[axis + 1 :]) * itemsize for axis in range(len(padded)))
    blocks = []
    number = min(count, threads.several(_work(spec, x, w)))
    for box in _image_blocks(x[0], output_size, math.prod(rows) * itemsize, w[0] // groups, number):
        size, first = span(box), 0
        for part, n in zip(box[1:], output_size, strict=True):
            first = first * n + part.start
        matrix = (groups, math.prod(rows[1:]), math.prod(size))
        blocks.append(_Block(box, (slice(None),) * (2 + rank) + box, (*rows, *size), matrix, first))
    view = _window_view(padded, strides, kernel_size, output_size, spec)
    elements = math.prod(rows) * math.prod(output_size)
    return _Plan(output_size, grouped, view, elements, number, tuple(blocks))


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
    plan, groups = _plan(spec, x.shape, w.shape, x.itemsize, threads.count()), spec.groups
    output_size = plan.output_size
    kernels = w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:]))
    y = np.empty((x.shape[0], groups, kernels.shape[1], *output_size), x.dtype)
    if _is_pointwise(w.shape[2:], spec):  # the input is its own matrix of patches
        flat = math.prod(output_size)
        xs = _grouped(x, groups)
        threads.multiply(kernels, xs.reshape(*xs.shape[:3], flat), y.reshape(*y.shape[:3], flat))
    elif lowers(spec, w.shape, output_size):
        _conv_lowered(x, w, spec, y, plan)
    elif _by_image(x.shape[0], kernels[0].size, plan.patches * x.itemsize, output_size):
        _conv_images(kernels, plan.view(x, spec), y, plan.threads)
    else:
        windows = plan.view(x, spec)
        threads.each(lambda block: _multiply(kernels, _columns(windows, block), y, block), plan.blocks)
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
    each_thread = block + 2 * math.prod(w) + _lowered_room(spec, batch, *sides, w[2:], itemsize)
    return OVERHEAD + itemsize * (padded + 2 * y + 2 * math.prod(w) + threads.count() * each_thread)


def _lowered_room(
    spec: ConvSpec, batch: int, channels: int, outputs: int, output_size: Sizes, kernel_size: Sizes, itemsize: int
) -> int:
    """Elements of the largest box of lowered rows, and of the products that the weight's gradient adds up."""
    if not lowers(spec, (spec.groups * outputs, channels, *kernel_size), output_size):
        return 0
    taps, step = kernel_size[0], spec.stride[0]
    height, line = channels * math.prod(kernel_size[1:]), math.prod(output_size[1:])
    room = max(1, LOWERED_BYTES // max(1, height * line * step * itemsize))
    rows = min(max(1, output_size[0]), room)
    many = min(batch * spec.groups, room // rows)
    products = rows * outputs * taps if outputs <= FEW_OUTPUTS else 0
    return many * height * (((rows - 1) * step + taps) * line + products)


def lowers(spec: ConvSpec, w: Sizes, output_size: Sizes) -> bool:
    """Whether the taps of the first axis are left where they are; w is a weight's shape.

    Then only the taps of the other axes are copied, but each row of outputs is a product of its own, for which all
    kernels of a group are arranged anew: this pays while they are small, and rows are long.

    >>> spec = ConvSpec((1, 1), ((1, 1), (1, 1)), (1, 1))
    >>> lowers(spec, (64, 3, 7, 7), (56, 56)), lowers(spec, (64, 3, 7, 7), (7, 7))
    (True, False)
    >>> lowers(spec, (64, 64, 3, 3), (56, 56))
    False
    """
    size, outputs = math.prod(w) // spec.groups, w[0] // spec.groups
    pays = size <= LOWERED_KERNELS and (outputs <= FEW_OUTPUTS or math.prod(output_size[1:]) >= LONG_ROW)
    return spec.rank > 1 and w[2] > 1 and spec.dilation[0] == 1 and pays


def _conv_lowered(x: Array, w: Array, spec: ConvSpec, y: Array, plan: _Plan) -> None:
    """Write the convolution to y (N, groups, O, *output_size), a product for each row of outputs."""
    kernels = w.reshape(spec.groups, y.shape[2], *w.shape[1:]).swapaxes(2, 3)  # the first axis' taps before channels
    kernels = kernels.reshape(*kernels.shape[:2], math.prod(w.shape[1:]))
    rows = y.reshape(*y.shape[:4], math.prod(y.shape[4:]))
    matrices, parts = _lowered(x, w.shape, spec, plan)

    def multiply(box: Box) -> None:
        images, groups, some = box
        np.matmul(kernels[groups, None], matrices(box), out=rows[images, groups, :, some].swapaxes(2, 3))

    threads.each(multiply, parts)


def _lowered(x: Array, w: Sizes, spec: ConvSpec, plan: _Plan) -> tuple[Callable[[Box], Array], list[Box]]:
    """What gives the matrix of each row of outputs in a box over (N, groups, rows), and the boxes.

    (N, groups, rows, k_1 C prod(k_2 ...), positions), valid until this thread's next; w is the weight's shape. Lowered
    along all axes but the first [Cho & Brand, MEC: Memory-Efficient Convolution, ICML 2017]: with the input's rows
    outermost the taps of the first axis are neighbours already, so that the matrices are overlapping views.
    """
    kernel_size, output_size = w[2:], plan.output_size
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

    def matrices(box: Box) -> Array:
        images, groups, rows = box
        part = lines[images, groups, rows.start * step : (rows.stop - 1) * step + taps]
        copy = buffer("columns", part.shape, x.dtype)
        np.copyto(copy, part)
        return strided(
            copy,
            (*copy.shape[:2], rows.stop - rows.start, taps * height, positions),
            (*copy.strides[:2], step * copy.strides[2], positions * x.itemsize, x.itemsize),
        )

    return matrices, boxes((*x.shape[:2], output_size[0]), room, plan.threads)


def _by_image(batch: int, kernels: int, bytes_each: int, output_size: Sizes) -> bool:
    """Whether several images of small outputs meet small kernels, and the patches of one fit into a block."""
    small = kernels <= LOWERED_KERNELS and math.prod(output_size) < MERGED_POSITIONS
    return batch > 1 and small and bytes_each <= BLOCK_BYTES


def _conv_images(kernels: Array, windows: Array, y: Array, number: int) -> None:
    """Write the convolution to y (N, groups, O, *output_size), a product for each image and group.

    One product of several images takes less time where kernels are large, but has to be copied to their places.
    """
    rank = y.ndim - 3
    windows = np.moveaxis(windows, 2 + rank, 0)
    room = BLOCK_BYTES * len(windows) // max(1, windows.nbytes)

    def multiply(box: Box) -> None:
        (some,) = box
        columns = buffer("columns", windows[some].shape, y.dtype)
        np.copyto(columns, windows[some])
        matrices = columns.reshape(*columns.shape[:2], kernels.shape[2], math.prod(y.shape[3:]))
        np.matmul(kernels, matrices, out=y[some].reshape(*matrices.shape[:2], kernels.shape[1], matrices.shape[3]))

    threads.each(multiply, boxes((len(windows),), room, number))


def _is_pointwise(kernel_size: Sizes, spec: ConvSpec) -> bool:
    return all(k == 1 for k in kernel_size) and all(s == 1 for s in spec.stride) and not any(map(any, spec.padding))


def _multiply(kernels: Array, columns: Array, y: Array, block: _Block) -> None:
    """Write kernels @ columns to a box of y (N, groups, O, *output_size); straight there if it is one image's."""
    images = block.box[0]
    if images.stop - images.start > 1:
        products = buffer("products", (*kernels.shape[:2], columns.shape[2]), y.dtype)
        threads.multiply(kernels, columns, products)
        _channels_first(y, block.box)[...] = products.reshape(*y.shape[1:3], *span(block.box))
        return
    image = y[images.start].reshape(*y.shape[1:3], math.prod(y.shape[3:]))
    threads.multiply(kernels, columns, image[..., block.first : block.first + columns.shape[-1]])


def input_grad(grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """col2im of W^T dY: grad_output (N, O, *output_size), w (O, C/groups, *kernel_size) -> (N, C, *input_size).

    For stride 1 it is also dY, fully padded, convolved with the rotated kernel; copying dY's patches takes less time
    than adding up columns where dY has few channels.
    """
    if rotates(spec, w.shape, input_size):
        return _input_grad_rotated(grad_output, w, spec, input_size)
    kernel_size, groups, batch = w.shape[2:], spec.groups, grad_output.shape[0]
    taps = math.prod(kernel_size)
    transposed = w.reshape(groups, w.shape[0] // groups, math.prod(w.shape[1:])).swapaxes(1, 2)
    gs = _grouped(grad_output, groups)
    grad = np.zeros((groups, w.shape[1], batch, *_padded_size(spec, input_size)), gs.dtype)

    def add(part: Box) -> None:
        """The gradient of some channels: no two threads add to the same place."""
        some, channels = part
        rows = (*span(part), *kernel_size)
        kernels = transposed[some, channels.start * taps : channels.stop * taps]
        for box in _image_blocks(batch, gs.shape[3:], math.prod(rows) * gs.itemsize, gs.shape[2], 1):
            g = _channels_first(gs[:, some], box).reshape(rows[0], gs.shape[2], math.prod(span(box)))
            columns = buffer("columns", (*kernels.shape[:2], g.shape[2]), gs.dtype)
            columns = threads.multiply(kernels, g, columns).reshape(*rows, *span(box))
            taps_first = np.moveaxis(columns, (0, 1), (spec.rank, spec.rank + 1))
            _scatter(grad[(*part, box[0])], taps_first, box[1:], spec)

    positions = batch * math.prod(gs.shape[3:])
    work = positions * math.prod(w.shape[1:]) * (w.shape[0] + 2 * threads.ELEMENT * groups)
    threads.each(add, boxes((groups, w.shape[1]), groups * w.shape[1], threads.several(work)))
    inner = np.moveaxis(grad[_inner(spec, input_size)], 2, 0)
    return np.ascontiguousarray(inner).reshape(batch, groups * w.shape[1], *input_size)


def rotates(spec: ConvSpec, w: Sizes, input_size: Sizes) -> bool:
    """Whether the gradient of the input is convolved by the rotated kernel rather than folded; w is a weight's shape.

    >>> plain, strided = ConvSpec((1,), ((1, 1),), (1,)), ConvSpec((2,), ((1, 1),), (1,))
    >>> rotates(plain, (8, 8, 3), (9,)), rotates(strided, (8, 8, 3), (9,))
    (True, False)
    """
    thin = w[0] <= min(THIN * spec.groups, 3 * w[1] * spec.groups) or math.prod(w[2:]) == 1
    small = w[0] * math.prod(input_size) <= FEW_ELEMENTS
    return (thin or small) and all(s == 1 for s in spec.stride)


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
    gs, channels = _grouped(grad_output, spec.groups), x.shape[1] // spec.groups
    if _is_pointwise(kernel_size, spec):
        return _weight_grad_pointwise(gs, _grouped(x, spec.groups), kernel_size)
    outputs, w = gs.shape[2], (grad_output.shape[1], channels, *kernel_size)
    plan = _plan(spec, x.shape, w, x.itemsize, threads.count())
    # Else to add up a product for each row takes longer than to copy the patches.
    pays = outputs <= FEW_OUTPUTS and math.prod(gs.shape[4:]) >= LONG_ROW
    if pays and lowers(spec, w, gs.shape[3:]):
        return _weight_grad_lowered(gs, x, kernel_size, spec, plan)
    # X dY^T is the faster product, but to transpose its result pays only after many positions.
    swapped = x.shape[0] * math.prod(gs.shape[3:]) >= MANY_POSITIONS
    taps = channels * math.prod(kernel_size)
    shape = (spec.groups, taps, outputs) if swapped else (spec.groups, outputs, taps)

    windows = plan.view(x, spec)

    def factors(blocks: Sequence[_Block]) -> Iterator[tuple[Array, Array]]:
        for block in blocks:
            columns = _columns(windows, block)
            g = _channels_first(gs, block.box).reshape(spec.groups, outputs, columns.shape[2])
            yield (columns, g) if swapped else (g, columns)

    grad = _totalled(factors, threads.shares(plan.blocks, plan.threads), shape, x.dtype)
    return np.ascontiguousarray(grad.swapaxes(1, 2) if swapped else grad).reshape(w)


def _totalled(
    factors: Callable[[Any], Iterable[tuple[Array, Array]]], runs: Sequence[Any], shape: Sizes, dtype: np.dtype[Any]
) -> Array:
    """The sum of A B^T over the pairs of factors of all runs, of which each thread adds up those of one."""
    if len(runs) <= 1:
        total = np.empty(shape, dtype) if runs else np.zeros(shape, dtype)
        for run in runs:
            _add_up(factors(run), total)
        return total
    totals = np.empty((len(runs), *shape), dtype)
    threads.each(lambda i: _add_up(factors(runs[i]), totals[i]), range(len(runs)))
    first: Array = totals[0]
    for other in totals[1:]:
        first += other
    return first


def _add_up(factors: Iterable[tuple[Array, Array]], total: Array) -> None:
    """Write the sum of A B^T over pairs of factors, of which there is one at least; the first straight there."""
    for number, (left, right) in enumerate(factors):
        out = buffer("products", total.shape, total.dtype) if number else total
        threads.multiply(left, right.swapaxes(1, 2), out)
        if number:
            total += out


def _weight_grad_pointwise(gs: Array, xs: Array, kernel_size: Sizes) -> Array:
    """The same where the input is its own matrix of patches: (N, groups, O, *n) and (N, groups, C, *n)."""
    flat, shape = math.prod(xs.shape[3:]), (*gs.shape[1:3], xs.shape[2])
    pairs = [(g.reshape(*g.shape[:2], flat), x.reshape(*x.shape[:2], flat)) for g, x in zip(gs, xs, strict=True)]
    total = _totalled(iter, [pairs] if pairs else [], shape, xs.dtype)
    return total.reshape(shape[0] * shape[1], shape[2], *kernel_size)


def _weight_grad_lowered(gs: Array, x: Array, kernel_size: Sizes, spec: ConvSpec, plan: _Plan) -> Array:
    """The sum over all rows of outputs of a product for each; gs is (N, groups, O, *output_size)."""
    channels = x.shape[1] // spec.groups
    rows = gs.reshape(*gs.shape[:4], math.prod(gs.shape[4:]))
    matrices, parts = _lowered(x, (gs.shape[1] * gs.shape[2], channels, *kernel_size), spec, plan)
    runs = threads.shares(parts, plan.threads)
    totals = np.zeros((max(1, len(runs)), *gs.shape[1:3], channels * math.prod(kernel_size)), x.dtype)

    def add_up(i: int) -> None:
        for box in runs[i]:
            images, groups, some = box
            products = np.matmul(rows[images, groups, :, some].swapaxes(2, 3), matrices(box).swapaxes(3, 4))
            totals[i][groups] += products.sum(axis=(0, 2))

    threads.each(add_up, range(len(runs)))
    grad: Array = totals[0] if len(totals) == 1 else totals.sum(axis=0)
    grad = grad.reshape(*gs.shape[1:3], kernel_size[0], channels, *kernel_size[1:]).swapaxes(2, 3)
    return grad.reshape(gs.shape[1] * gs.shape[2], channels, *kernel_size)
