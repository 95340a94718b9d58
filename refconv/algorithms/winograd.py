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
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv.spec import ConvSpec, Sizes

__all__ = ["conv", "full_padding", "input_grad", "refuses", "tile", "transform_matrices"]

Array = NDArray[Any]
Matrix = tuple[tuple[Fraction, ...], ...]
Box = tuple[slice, ...]

LARGEST_TILE = 8  # m + r - 1: one more pair of points loses another two digits
MANY_OUTPUTS = 14  # from here on F(4, r) pays, below it F(2, r)
BLOCK_BYTES = 2**23  # of transformed tiles at a time


def _space(places: Iterable[slice | int]) -> tuple[Any, ...]:
    """Index the last axes, keep those before."""
    return (..., *places)


def refuses(name: str, spec: ConvSpec, input_size: Sizes, kernel_size: Sizes, dtype: np.dtype[Any]) -> str:
    """Why the call cannot be done; empty if it can."""
    if name.endswith("_backward"):
        return "it offers no gradient with respect to the weight"
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
    """The m of F(m, r) on each axis: 4 where there are many outputs, 2 otherwise, 1 where the kernel is too long.

    Tiles start at output 0. For a gradient or a transposed convolution ask with `full_padding` and the size of
    its own operand.

    >>> tile(ConvSpec((1, 1), ((1, 1), (1, 1)), (1, 1)), (56, 7), (3, 3))
    (4, 2)
    """
    outputs = spec.output_size(input_size, kernel_size)
    return tuple(
        max(1, min(4 if p > MANY_OUTPUTS and spec.rank < 3 else 2, p, LARGEST_TILE + 1 - r))
        for p, r in zip(outputs, kernel_size, strict=True)
    )


def full_padding(spec: ConvSpec, input_size: Sizes, output_size: Sizes, kernel_size: Sizes) -> ConvSpec:
    """The convolution by the rotated kernel that leads from gradients (output_size) back to the input (input_size).

    The padding is negative, and then crops, where the convolution was padded by more than a kernel.

    >>> full_padding(ConvSpec((1,), ((0, 0),), (1,)), (5,), (3,), (3,)).padding
    ((2, 2),)
    """
    padding = tuple(
        (r - 1 - before, n - p + before)
        for r, (before, _), n, p in zip(kernel_size, spec.padding, input_size, output_size, strict=True)
    )
    return ConvSpec(spec.stride, padding, spec.dilation, spec.groups)


def _apply(matrix: Matrix, array: Array, axis: int, transposed: bool = False) -> Array:
    """Multiply one axis of an array by a small matrix, one plane after the other; its zeros cost nothing."""
    rows = tuple(zip(*matrix, strict=True)) if transposed else matrix
    planes = np.moveaxis(array, axis, 0)
    result = np.zeros((len(rows), *planes.shape[1:]), array.dtype)
    for row, out in zip(rows, result, strict=True):
        terms = [(c, plane) for c, plane in zip(row, planes, strict=True) if c]
        for i, (c, plane) in enumerate(terms):
            if i == 0:
                np.multiply(plane, float(c), out=out)
            elif abs(c) == 1:
                (np.add if c > 0 else np.subtract)(out, plane, out=out)
            else:
                out += plane * float(c)
    return np.moveaxis(result, 0, axis)


def _placed(x: Array, spec: ConvSpec, size: Sizes) -> Array:
    """x with its padding (cropped where negative), and zeros at the end up to `size`."""
    result = np.zeros((*x.shape[: x.ndim - spec.rank], *size), x.dtype)
    inside, source = [], []
    for n, (before, after), total in zip(x.shape[-spec.rank :], spec.padding, size, strict=True):
        first, stop = max(0, -before), n - max(0, -after)
        start = max(0, before)
        stop = min(stop, first + total - start)
        inside.append(slice(start, start + max(0, stop - first)))
        source.append(slice(first, max(first, stop)))
    result[_space(inside)] = x[_space(source)]
    return result


def _blocks(sizes: Sizes, room: int) -> Iterator[Box]:
    """Boxes of at most `room` tiles that cover `sizes`."""
    room, steps = max(1, room), []
    for n in reversed(sizes):
        steps.append(max(1, min(n, room)))
        room //= steps[-1]
    yield from itertools.product(
        *(
            [slice(start, min(start + step, n)) for start in range(0, n, step)]
            for n, step in zip(sizes, reversed(steps), strict=True)
        )
    )


def _tiles(x: Array, m: Sizes, size: Sizes, counts: Sizes) -> Array:
    """A view of a padded (N, groups, C, *n) as (*tile, groups, C, N, *counts); neighbours start m apart."""
    x = np.moveaxis(x, 0, 2)
    steps = x.strides[3:]
    return np.lib.stride_tricks.as_strided(
        x,
        (*size, *x.shape[:3], *counts),
        (*steps, *x.strides[:3], *(k * step for k, step in zip(m, steps, strict=True))),
        writeable=False,
    )


def _kernel(w: Array, groups: int, matrices: Sequence[tuple[Matrix, Matrix, Matrix]]) -> Array:
    """G g on every axis: (O, C/groups, *k) -> (*tile, groups, O/groups, C/groups)."""
    kernel = np.moveaxis(w.reshape(groups, w.shape[0] // groups, *w.shape[1:]), (0, 1, 2), (-3, -2, -1))
    for axis, (_, G, _) in enumerate(matrices):
        kernel = _apply(G, kernel, axis)
    return np.ascontiguousarray(kernel)


def conv(x: Array, w: Array, spec: ConvSpec) -> Array:
    """x (N, C, *input_size), w (O, C/groups, *kernel_size) -> (N, O, *output_size); stride and dilation 1.

    >>> conv(np.arange(4.0).reshape(1, 1, 4), np.ones((1, 1, 2)), ConvSpec((1,), ((0, 0),), (1,)))
    array([[[1., 3., 5.]]])
    """
    rank, groups, batch = spec.rank, spec.groups, x.shape[0]
    kernel_size, output_size = w.shape[2:], spec.output_size(x.shape[2:], w.shape[2:])
    m = tile(spec, x.shape[2:], kernel_size)
    matrices = [transform_matrices(outputs, taps) for outputs, taps in zip(m, kernel_size, strict=True)]
    size = tuple(outputs + taps - 1 for outputs, taps in zip(m, kernel_size, strict=True))
    counts = tuple(-(-p // outputs) for p, outputs in zip(output_size, m, strict=True))
    needed = tuple((c - 1) * outputs + t if c else t for c, outputs, t in zip(counts, m, size, strict=True))
    xs = _placed(x.reshape(batch, groups, x.shape[1] // groups, *x.shape[2:]), spec, needed)
    tiles, kernel = _tiles(xs, m, size, counts), _kernel(w, groups, matrices)
    y = np.empty((batch, *kernel.shape[rank : rank + 2], *itertools.chain(*zip(counts, m, strict=True))), x.dtype)
    # (*m, groups, O/groups, N, *counts): where the outputs of each tile go.
    places = y.transpose(*range(4, y.ndim, 2), 1, 2, 0, *range(3, y.ndim, 2))
    room = BLOCK_BYTES // max(1, math.prod(size) * x.shape[1] * x.itemsize)
    for box in _blocks((batch, *counts), room):
        places[_space(box)] = _tile_block(tiles[_space(box)], kernel, matrices)
    whole = y.reshape(*y.shape[:3], *(c * outputs for c, outputs in zip(counts, m, strict=True)))
    kept = np.ascontiguousarray(whole[_space(slice(0, p) for p in output_size)])
    return kept.reshape(batch, w.shape[0], *output_size)


def _tile_block(d: Array, kernel: Array, matrices: Sequence[tuple[Matrix, Matrix, Matrix]]) -> Array:
    """A^T [(G g) o (B^T d)] with the sum over channels inside: (*tile, groups, C, *box) -> (*m, groups, O, *box)."""
    rank, box = len(matrices), d.shape[len(matrices) + 2 :]
    for axis, (_, _, B) in enumerate(matrices):
        d = _apply(B, d, axis, transposed=True)
    products: Array = np.matmul(kernel, d.reshape(*d.shape[: rank + 2], math.prod(box)))
    y = products.reshape(*products.shape[:-1], *box)
    for axis, (A, _, _) in enumerate(matrices):
        y = _apply(A, y, axis, transposed=True)
    return y


def input_grad(grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """dX = dZ, fully padded, with the kernel rotated by 180 degrees, by F(m, r): -> (N, C, *input_size)."""
    groups = spec.groups
    swapped = w.reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2)
    rotated = np.flip(swapped, tuple(range(3, swapped.ndim)))
    kernels = rotated.reshape(groups * w.shape[1], w.shape[0] // groups, *w.shape[2:])
    return conv(grad_output, kernels, full_padding(spec, input_size, grad_output.shape[2:], w.shape[2:]))
