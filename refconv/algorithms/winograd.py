"""Minimal filtering F(m, r): m outputs of an r-tap kernel from m + r - 1 products, nested over the axes.

    y = A^T [(G g) o (B^T d)] for one axis and one tile d of m + r - 1 inputs

`transform_matrices` returns A (tile x m), G (tile x r) and B (tile x tile): A and B are stored untransposed and
applied transposed, G is stored as it is applied. They are made exactly, from the Toom-Cook product of polynomials
(evaluate at points, multiply, interpolate) transposed [Winograd, Arithmetic Complexity of Computations, 1980; Lavin &
Gray, Fast Algorithms for Convolutional Neural Networks, 2016]. Larger tiles save more products and lose more accuracy
[Barabasz, Anderson, Soodhalter & Gregg, TOMS 46, 2020]. Not local within a tile.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refconv import threads
from refconv.blocks import Box, boxes, span
from refconv.scratch import buffer, placed
from refconv.spec import ConvSpec, Pairs, Sizes

__all__ = ["conv", "gradient_tile", "input_grad", "needs", "refuses", "tile", "transform_matrices", "weight_grad"]

Array = NDArray[Any]
Matrix = tuple[tuple[Fraction, ...], ...]

LARGEST_TILE = 8  # m + r - 1: one more pair of points loses another two digits
LARGEST_M = 4
OVERHEAD = 2**18  # bytes of Python objects and of NumPy's own buffers
BLOCK_BYTES = 2**20  # of tiles, and of kernels, at a time: they stay in the cache from one step to the next,
TRANSFORM = 32  # multiply-adds that take as long as to transform an element of a tile
PRODUCT_SIZE = 64  # but a product with fewer of them would spend its time on arranging its factors


def _space(places: Iterable[slice | int]) -> tuple[Any, ...]:
    """Index the last axes, keep those before."""
    return (..., *places)


def refuses(name: str, spec: ConvSpec, input_size: Sizes, kernel_size: Sizes, dtype: np.dtype[Any]) -> str:
    """Why the call cannot be done; empty if it can."""
    if dtype.kind not in "fc":
        return f"the transform needs floating-point numbers, not {dtype}"
    for argument, values in (("stride", spec.stride), ("dilation", spec.dilation)):
        if any(v != 1 for v in values):
            return f"`{argument}` is {values}, but must be 1 on every axis"
    return ""


def points() -> Iterator[Fraction]:
    """The finite points in the order they are taken: 0, 1, -1, 2, -2, 1/2, -1/2, 3, -3, 1/3, -1/3, ...

    >>> [str(p) for p in itertools.islice(points(), 7)]
    ['0', '1', '-1', '2', '-2', '1/2', '-1/2']
    """
    yield Fraction(0)
    yield from (Fraction(1), Fraction(-1))
    for n in itertools.count(2):
        yield from (Fraction(n), Fraction(-n), Fraction(1, n), Fraction(-1, n))


@functools.cache
def transform_matrices(
    m: int, r: int, finite_points: tuple[Fraction | int, ...] | None = None
) -> tuple[Matrix, Matrix, Matrix]:
    """A (tile x m), G (tile x r), B (tile x tile) of F(m, r), exact; tile = m + r - 1.

    The points are m + r - 2 finite ones and infinity. Where m or r is 1 and no points are given nothing is
    to be saved, and the matrices are those of the plain sum. The denominators stand in G, so that with dyadic points
    G alone is rounded.

    >>> A, G, B = transform_matrices(2, 3)
    >>> [[str(a) for a in row] for row in A]
    [['1', '0'], ['1', '1'], ['1', '-1'], ['0', '1']]
    >>> [[str(g) for g in row] for row in G]
    [['-1', '0', '0'], ['1/2', '1/2', '1/2'], ['1/2', '-1/2', '1/2'], ['0', '0', '1']]
    """
    if m < 1 or r < 1:
        raise ValueError(f"`m` (={m}) and `r` (={r}) must be at least 1")
    if finite_points is None and (m == 1 or r == 1):
        size = max(m, r)
        identity, ones = _powers(range(size), 1, identity=size), tuple((Fraction(1),) for _ in range(size))
        return (identity, ones, identity) if r == 1 else (ones, identity, identity)
    finite = list(itertools.islice(points(), m + r - 2) if finite_points is None else map(Fraction, finite_points))
    if len(finite) != m + r - 2 or len(set(finite)) != len(finite):
        raise ValueError(f"`finite_points` is {finite_points}, but must be {m + r - 2} different numbers")
    # Interpolation: column i of B holds prod over j != i of (x - p_j), and N_i = prod (p_i - p_j) goes to G.
    columns = [_polynomial(finite[:i] + finite[i + 1 :]) for i in range(len(finite))]
    norms = [math.prod(p - q for q in finite if q != p) for p in finite] + [Fraction(1)]
    size = m + r - 1
    padded = [(*c, *(Fraction(0),) * (size - len(c))) for c in [*columns, _polynomial(finite)]]
    B = tuple(zip(*padded, strict=True))
    G = tuple(tuple(g / n for g in row) for row, n in zip(_powers(finite, r), norms, strict=True))
    return _powers(finite, m), G, B


def _powers(finite: Sequence[Fraction | int], count: int, identity: int = 0) -> Matrix:
    """Rows 1, p, p^2, ... for each point, and (0, ..., 0, 1) for infinity; or an identity matrix."""
    if identity:
        return tuple(tuple(Fraction(int(i == j)) for j in range(identity)) for i in range(identity))
    rows = [tuple(Fraction(p) ** k for k in range(count)) for p in finite]
    return (*rows, (*(Fraction(0),) * (count - 1), Fraction(1)))


def _polynomial(roots: Sequence[Fraction]) -> list[Fraction]:
    """Coefficients of prod (x - root), lowest first."""
    coefficients = [Fraction(1)]
    for root in roots:
        shifted = [Fraction(0), *coefficients]
        coefficients = [s - root * c for s, c in zip(shifted, [*coefficients, Fraction(0)], strict=True)]
    return coefficients


def tile(spec: ConvSpec, input_size: Sizes, kernel_size: Sizes) -> Sizes:
    """The m of F(m, r) on each axis: that of 1, 2 and 4 with the fewest products, 1 where the kernel is too long.

    Tiles start at output 0. For a gradient or a transposed convolution ask with `full_padding` and the size of
    its own operand. Three axes with m = 4 would lose too many digits.

    >>> tile(ConvSpec((1, 1), ((1, 1), (1, 1)), (1, 1)), (56, 5), (3, 3))
    (4, 2)
    """
    most = 2 if spec.rank > 2 else LARGEST_M
    return tuple(
        min(
            (m for m in (1, 2, min(most, max(1, p))) if m == 1 or m + r - 1 <= LARGEST_TILE),
            key=lambda m: (-(-p // m) * (m + r - 1), m),
        )
        for p, r in zip(spec.output_size(input_size, kernel_size), kernel_size, strict=True)
    )


def gradient_tile(spec: ConvSpec, input_size: Sizes, output_size: Sizes, kernel_size: Sizes) -> Sizes:
    """The m of both gradients: F(m, r) gives that of the input, F(r, m) that of the weight.

    >>> gradient_tile(ConvSpec((1,), ((0, 0),), (1,)), (56,), (54,), (3,))
    (4,)
    """
    return tile(_full_padding(spec, input_size, output_size, kernel_size), output_size, kernel_size)


def _full_padding(spec: ConvSpec, input_size: Sizes, output_size: Sizes, kernel_size: Sizes) -> ConvSpec:
    """The convolution by the rotated kernel that leads from gradients (output_size) back to the input (input_size).

    The padding is negative, and then crops, where the convolution was padded by more than a kernel.
    """
    padding = tuple(
        (r - 1 - before, n - p + before)
        for r, (before, _), n, p in zip(kernel_size, spec.padding, input_size, output_size, strict=True)
    )
    return ConvSpec(spec.stride, padding, spec.dilation, spec.groups)


def _numbers(matrix: Matrix, dtype: np.dtype[Any], transposed: bool = False) -> Array:
    """An exact matrix, or its transpose, rounded to a format."""
    rows = np.array([[float(value) for value in row] for row in matrix])
    result = np.ascontiguousarray(rows.T if transposed else rows, dtype=dtype)
    result.flags.writeable = False  # it is kept
    return result


@functools.cache  # to make them anew takes a twentieth of the time of a small layer
def _matrices(m: Sizes, r: Sizes, dtype: np.dtype[Any]) -> tuple[list[Array], list[Array], list[Array]]:
    """A^T, G and B^T of F(m, r) on each axis, rounded to a format."""
    exact = [transform_matrices(outputs, taps) for outputs, taps in zip(m, r, strict=True)]
    return (
        [_numbers(A, dtype, transposed=True) for A, _, _ in exact],
        [_numbers(G, dtype) for _, G, _ in exact],
        [_numbers(B, dtype, transposed=True) for _, _, B in exact],
    )


def _transformed(matrices: Sequence[Array], array: Array, name: str, out: Array | None = None) -> Array:
    """Each of the first axes multiplied by its small matrix: (*n, *rest) -> (*rows, *rest), one product an axis.

    The last is written to `out`, else valid until this thread's next of that name.
    """
    shape = array.shape
    for axis, matrix in enumerate(matrices):
        shape = (*shape[:axis], len(matrix), *shape[axis + 1 :])
        lines = array.reshape(math.prod(shape[:axis]), matrix.shape[1], math.prod(shape[axis + 1 :]))
        size = (lines.shape[0], len(matrix), lines.shape[2])
        here = out is not None and axis == len(matrices) - 1
        to = out.reshape(size) if out is not None and here else buffer(f"{name} {axis}", size, array.dtype)
        array = np.matmul(matrix, lines, out=to)
    return array.reshape(shape)


def _outputs(to_outputs: Sequence[Array], products: Array) -> Array:
    """A^T on every axis, (*tile, *rest) -> (*m[:-1], *rest, m[-1]): neighbours in the output are neighbours here.

    To copy them to where they go one by one would take three times as long.
    """
    *others, last = to_outputs
    array = _transformed(others, products, "products")
    lines = array.reshape(math.prod(array.shape[: len(others)]), last.shape[1], -1)
    size = (lines.shape[0], lines.shape[2], len(last))
    out = np.matmul(lines.swapaxes(1, 2), last.T, out=buffer(f"products {len(others)}", size, array.dtype))
    return out.reshape(*array.shape[: len(others)], *array.shape[len(others) + 1 :], len(last))


def _grouped(x: Array, groups: int) -> Array:
    """(N, C, *n) -> (N, groups, C/groups, *n)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _tiles(x: Array, padding: Pairs, m: Sizes, size: Sizes, counts: Sizes, name: str) -> Array:
    """A view of (N, groups, C, *n), padded, as (*size, groups, C, N, *counts); neighbours start m apart."""
    needed = tuple((c - 1) * step + t if c else t for c, step, t in zip(counts, m, size, strict=True))
    x = np.moveaxis(placed(f"{name} placed", x, padding, needed), 0, 2)
    steps = x.strides[3:]
    return np.lib.stride_tricks.as_strided(
        x,
        (*size, *x.shape[:3], *counts),
        (*steps, *x.strides[:3], *(k * step for k, step in zip(m, steps, strict=True))),
        writeable=False,
    )


def _transformed_tiles(matrices: Sequence[Array], tiles: Array, name: str) -> Array:
    """Every tile multiplied by its matrices: (*size, groups, C, *box) -> (*rows, groups, C, prod(box))."""
    kept = len(matrices) + 2
    copy = buffer(name, tiles.shape, tiles.dtype)
    np.copyto(copy, tiles)
    return _transformed(matrices, copy.reshape(*tiles.shape[:kept], math.prod(tiles.shape[kept:])), name)


def _room(size: Sizes, channels: int, dtype: np.dtype[Any]) -> int:
    """How many tiles, or kernels, to transform at a time."""
    return max(PRODUCT_SIZE, BLOCK_BYTES // max(1, math.prod(size) * channels * dtype.itemsize))


class _Kernels(NamedTuple):
    """The kernels of a convolution, to be transformed some output channels of each group at a time."""

    taps_first: Array  # (*kernel_size, groups, O/groups, C/groups)
    matrices: Sequence[Array]  # G on every axis
    parts: list[slice]  # of the output channels

    def shape(self, some: slice) -> Sizes:
        """Of some of them, transformed: (*tile, groups, some of O/groups, C/groups)."""
        groups, _, channels = self.taps_first.shape[-3:]
        return (*map(len, self.matrices), groups, some.stop - some.start, channels)

    def transformed(self, some: slice, out: Array | None = None) -> Array:
        """G g on every axis, in `out`, else valid until this thread's next."""
        taps = self.taps_first[..., some, :]
        copy = buffer("kernels", taps.shape, taps.dtype)
        np.copyto(copy, taps)
        return _transformed(self.matrices, copy, "kernels", out)

    def kept(self) -> list[Array]:
        """All of them; valid until this thread's next."""
        dtype = self.taps_first.dtype
        room = [buffer(f"kernels of part {i}", self.shape(some), dtype) for i, some in enumerate(self.parts)]
        threads.each(lambda i: self.transformed(self.parts[i], room[i]), range(len(room)))
        return room


def _kernels(w: Array, groups: int, matrices: Sequence[Array], number: int) -> _Kernels:
    """Those of a weight (O, C/groups, *kernel_size), in parts for a number of threads."""
    rank, outputs = len(matrices), w.shape[0] // groups
    taps_first = np.moveaxis(w.reshape(groups, outputs, *w.shape[1:]), (0, 1, 2), (rank, rank + 1, rank + 2))
    room = _room(tuple(map(len, matrices)), groups * w.shape[1], w.dtype)
    return _Kernels(taps_first, matrices, [some for (some,) in boxes((outputs,), room, number)])


def needs(kind: str, spec: ConvSpec, x: Sizes, w: Sizes, itemsize: int) -> int:
    """The most bytes that a call allocates beside its operands and result; x and w are the convolution's shapes."""
    output_size, stages = spec.output_size(x[2:], w[2:]), spec.rank + 1
    (batch, channels), outputs, groups = x[:2], w[0], spec.groups
    m = tile(spec, x[2:], w[2:]) if kind == "conv" else gradient_tile(spec, x[2:], output_size, w[2:])
    reached = output_size
    if kind == "input_grad":
        channels, outputs, reached = outputs, channels, x[2:]
    size = math.prod(a + r - 1 for a, r in zip(m, w[2:], strict=True))
    counts = tuple(-(-p // a) for p, a in zip(reached, m, strict=True))
    tiles = batch * math.prod(counts)
    around = batch * math.prod(c * a + r - 1 for c, a, r in zip(counts, m, w[2:], strict=True))
    covered = batch * math.prod(c * a for c, a in zip(counts, m, strict=True))
    room = PRODUCT_SIZE + BLOCK_BYTES // max(1, size * channels * itemsize)
    if kind == "weight_grad":
        d, g = min(tiles, 4 * room), min(outputs // groups, 2 * room)
        steps = size * (d * (channels + groups * g) + groups * g * w[1])
        each_thread = stages * steps + math.prod(w)
        return OVERHEAD + itemsize * (
            around * channels + covered * outputs + threads.count() * each_thread + math.prod(w)
        )
    some, d = PRODUCT_SIZE + BLOCK_BYTES // max(1, size * channels * itemsize), min(tiles, room)
    steps = size * d * (channels + groups * min(some, outputs // groups))
    kernels = size * math.prod(w[:2])
    steps = stages * (threads.count() * steps + kernels)
    return OVERHEAD + itemsize * (around * channels + covered * outputs + steps + 2 * math.prod(w))


def _work(spec: ConvSpec, x: Sizes, w: Sizes, m: Sizes) -> int:
    """What it takes, in multiply-adds."""
    output_size = spec.output_size(x[2:], w[2:])
    tiles = x[0] * math.prod(-(-p // outputs) for p, outputs in zip(output_size, m, strict=True))
    size = math.prod(outputs + taps - 1 for outputs, taps in zip(m, w[2:], strict=True))
    elements = tiles * (x[1] + w[0]) + w[0] * w[1]
    return size * (tiles * w[0] * w[1] + TRANSFORM * elements)


def conv(x: Array, w: Array, spec: ConvSpec) -> Array:
    """x (N, C, *input_size), w (O, C/groups, *kernel_size) -> (N, O, *output_size); stride and dilation 1.

    >>> conv(np.arange(4.0).reshape(1, 1, 4), np.ones((1, 1, 2)), ConvSpec((1,), ((0, 0),), (1,)))
    array([[[1., 3., 5.]]])
    """
    rank, groups, batch = spec.rank, spec.groups, x.shape[0]
    kernel_size, output_size = w.shape[2:], spec.output_size(x.shape[2:], w.shape[2:])
    m = tile(spec, x.shape[2:], kernel_size)
    to_outputs, of_kernel, of_input = _matrices(m, kernel_size, x.dtype)
    number = threads.several(_work(spec, x.shape, w.shape, m))
    counts = tuple(-(-p // outputs) for p, outputs in zip(output_size, m, strict=True))
    tiles = _tiles(_grouped(x, groups), spec.padding, m, tuple(map(len, of_input)), counts, "tiles")
    y = np.empty((batch, groups, w.shape[0] // groups, *itertools.chain(*zip(counts, m, strict=True))), x.dtype)
    # (*m[:-1], groups, O/groups, N, *counts, m[-1]): where the outputs of each tile go.
    places = y.transpose(*range(4, y.ndim - 1, 2), 1, 2, 0, *range(3, y.ndim, 2), y.ndim - 1)
    parts = boxes((batch, *counts), _room(tiles.shape[:rank], x.shape[1], x.dtype), number)
    kernels = _kernels(w, groups, of_kernel, number)

    def write(kernel: Array, d: Array, some: slice, box: Box) -> None:
        products = np.matmul(kernel, d, out=buffer("products", (*kernel.shape[:-1], d.shape[-1]), x.dtype))
        results = _outputs(to_outputs, products)
        places[(*(slice(None),) * rank, some, *box)] = results.reshape(*results.shape[:-2], *span(box), m[-1])

    if len(parts) > 1:
        pairs = list(zip(kernels.parts, kernels.kept(), strict=True))

        def outputs(box: Box) -> None:
            d = _transformed_tiles(of_input, tiles[_space(box)], "tiles")
            for some, kernel in pairs:
                write(kernel, d, some, box)

        threads.each(outputs, parts)
    elif parts:
        d = _transformed_tiles(of_input, tiles[_space(parts[0])], "tiles")
        threads.each(lambda some: write(kernels.transformed(some), d, some, parts[0]), kernels.parts)
    whole = y.reshape(*y.shape[:3], *(c * outputs for c, outputs in zip(counts, m, strict=True)))
    kept = np.ascontiguousarray(whole[_space(slice(0, p) for p in output_size)])
    return kept.reshape(batch, w.shape[0], *output_size)


def input_grad(grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """dX = dZ, fully padded, with the kernel rotated by 180 degrees, by F(m, r): -> (N, C, *input_size)."""
    groups = spec.groups
    swapped = w.reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2)
    rotated = np.flip(swapped, tuple(range(3, swapped.ndim)))
    kernels = rotated.reshape(groups * w.shape[1], w.shape[0] // groups, *w.shape[2:])
    return conv(grad_output, kernels, _full_padding(spec, input_size, grad_output.shape[2:], w.shape[2:]))


def weight_grad(grad_output: Array, x: Array, spec: ConvSpec, kernel_size: Sizes) -> Array:
    """dW = X correlated with dZ, cut into pieces of m, each by F(r, m), the sum over pieces inside the transform.

    grad_output (N, O, *output_size), x (N, C, *input_size) -> (O, C/groups, *kernel_size).
    """
    rank, output_size = spec.rank, grad_output.shape[2:]
    m = gradient_tile(spec, x.shape[2:], output_size, kernel_size)
    to_weight, of_grad, of_input = _matrices(kernel_size, m, x.dtype)
    counts = tuple(-(-p // step) for p, step in zip(output_size, m, strict=True))
    tiles = _tiles(_grouped(x, spec.groups), spec.padding, m, tuple(map(len, of_input)), counts, "tiles")
    pieces = _tiles(_grouped(grad_output, spec.groups), ((0, 0),) * rank, m, m, counts, "pieces")
    size, groups, channels, outputs = tiles.shape[:rank], spec.groups, tiles.shape[rank + 1], pieces.shape[rank + 1]
    room = _room(size, x.shape[1], x.dtype)
    number = threads.several(_work(spec, x.shape, (outputs * groups, channels, *kernel_size), m))
    runs = threads.shares(boxes((x.shape[0], *counts), 4 * room, number), number)
    totals = np.empty((max(1, len(runs)), *kernel_size, groups, outputs, channels), x.dtype)

    def add_up(i: int) -> None:
        for turn, box in enumerate(runs[i]):
            d = _transformed_tiles(of_input, tiles[_space(box)], "tiles").swapaxes(-1, -2)
            for (some,) in boxes((outputs,), 2 * room):
                g = _transformed_tiles(of_grad, pieces[(*(slice(None),) * (rank + 1), some, *box)], "pieces")
                products = np.matmul(g, d, out=buffer("products", (*g.shape[:-1], channels), x.dtype))
                part = _transformed(to_weight, products, "products")
                if turn:
                    totals[i][..., some, :] += part
                else:
                    totals[i][..., some, :] = part

    if not runs:
        totals.fill(0)
    threads.each(add_up, range(len(runs)))
    grad = totals[0]
    for total in totals[1:]:
        grad += total
    grad = np.moveaxis(grad, (rank, rank + 1, rank + 2), (0, 1, 2))
    return np.ascontiguousarray(grad).reshape(grad_output.shape[1], channels, *kernel_size)
