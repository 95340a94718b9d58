"""Minimal filtering F(m, r) on tiles: y = A^T [(G g) o (B^T d)] on every axis [Lavin & Gray 2016].

Tiles are the taps of a window as large as a tile whose stride is m. Not local within a tile.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import prod
from typing import Any

from array_api_compat import device

from refconv.algorithms.winograd import gradient_tile, tile, transform_matrices
from refconv.portable.channels import grouped, grouped_kernel, rotated
from refconv.portable.taps import padded, taps
from refconv.spec import ConvSpec, Pairs, Sizes

__all__ = ["conv", "input_grad", "weight_grad"]

Array = Any


def _matrices(xp: Any, m: Sizes, r: Sizes, like: Array) -> tuple[list[Array], list[Array], list[Array]]:
    """A^T, G and B^T of F(m, r) on each axis, rounded to the format of an array."""
    exact = [transform_matrices(outputs, size) for outputs, size in zip(m, r, strict=True)]

    def rounded(rows: Sequence[Sequence[Any]]) -> Array:
        return xp.asarray([[float(v) for v in row] for row in rows], dtype=like.dtype, device=device(like))

    return (
        [rounded(tuple(zip(*A, strict=True))) for A, _, _ in exact],
        [rounded(G) for _, G, _ in exact],
        [rounded(tuple(zip(*B, strict=True))) for _, _, B in exact],
    )


def _transformed(xp: Any, matrices: Sequence[Array], array: Array) -> Array:
    """Each of the first axes multiplied by its small matrix: (*n, ...) -> (*rows, ...)."""
    last = len(matrices) - 1
    for matrix in reversed(matrices):  # the last of these axes is taken, and put in front: after all they are in order
        array = xp.tensordot(matrix, array, axes=((1,), (last,)))
    return array


def _tiles(xp: Any, x: Array, before: Sizes, m: Sizes, size: Sizes, counts: Sizes) -> Array:
    """(N, groups, C, *n) -> (*size, groups, C, N * counts): tiles m apart, the first `before` ahead of x."""
    needed = tuple((c - 1) * step + t for c, step, t in zip(counts, m, size, strict=True))
    pairs = tuple((b, total - b - n) for b, total, n in zip(before, needed, x.shape[3:], strict=True))
    parts = xp.stack(taps(padded(xp, x, pairs), size, counts, m, (1,) * len(m)), axis=0)
    parts = xp.permute_dims(parts, (0, 2, 3, 1, *range(4, parts.ndim)))
    return xp.reshape(parts, (*size, *x.shape[1:3], x.shape[0] * prod(counts)))


def _kernels(xp: Any, w: Array, groups: int) -> Array:
    """(O, C/groups, *k) -> (*k, groups, O/groups, C/groups)."""
    ws = grouped_kernel(xp, w, groups)
    return xp.permute_dims(ws, (*range(3, ws.ndim), 0, 1, 2))


def conv(xp: Any, x: Array, w: Array, spec: ConvSpec) -> Array:
    """x (N, C, *input_size), w (O, C/groups, *kernel_size) -> (N, O, *output_size); stride and dilation 1."""
    rank, kernel_size = spec.rank, w.shape[2:]
    m, size = tile(spec, x.shape[2:], kernel_size), spec.output_size(x.shape[2:], kernel_size)
    to_outputs, of_kernel, of_input = _matrices(xp, m, kernel_size, x)
    counts = tuple(-(-p // step) for p, step in zip(size, m, strict=True))
    lengths, before = tuple(a.shape[0] for a in of_input), tuple(b for b, _ in spec.padding)
    d = _transformed(xp, of_input, _tiles(xp, grouped(xp, x, spec.groups), before, m, lengths, counts))
    y = _transformed(xp, to_outputs, xp.matmul(_transformed(xp, of_kernel, _kernels(xp, w, spec.groups)), d))
    y = xp.reshape(y, (*m, w.shape[0], x.shape[0], *counts))
    pairs = chain(*((rank + 2 + axis, axis) for axis in range(rank)))  # counts, then the place in the tile
    whole = xp.reshape(xp.permute_dims(y, (rank + 1, rank, *pairs)), (*_sizes(x, w), *_times(counts, m)))
    return whole[(..., *(slice(0, p) for p in size))]


def _sizes(x: Array, w: Array) -> Sizes:
    return x.shape[0], w.shape[0]


def _times(a: Sizes, b: Sizes) -> Sizes:
    return tuple(n * m for n, m in zip(a, b, strict=True))


def input_grad(xp: Any, grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """grad_output, fully padded, with the kernel rotated by 180 degrees: -> (N, C, *input_size)."""
    sizes = zip(w.shape[2:], spec.padding, input_size, grad_output.shape[2:], strict=True)
    padding: Pairs = tuple((r - 1 - before, n - p + before) for r, (before, _), n, p in sizes)
    return conv(
        xp, grad_output, rotated(xp, w, spec.groups), ConvSpec(spec.stride, padding, spec.dilation, spec.groups)
    )


def weight_grad(xp: Any, grad_output: Array, x: Array, spec: ConvSpec, kernel_size: Sizes) -> Array:
    """x correlated with pieces of m of grad_output, by F(r, m), summed inside the transform: (O, C/groups, *k)."""
    rank, size, groups = spec.rank, grad_output.shape[2:], spec.groups
    m = gradient_tile(spec, x.shape[2:], size, kernel_size)
    to_weight, of_grad, of_input = _matrices(xp, kernel_size, m, x)
    counts = tuple(-(-p // step) for p, step in zip(size, m, strict=True))
    lengths, before = tuple(a.shape[0] for a in of_input), tuple(b for b, _ in spec.padding)
    d = _transformed(xp, of_input, _tiles(xp, grouped(xp, x, groups), before, m, lengths, counts))
    g = _transformed(xp, of_grad, _tiles(xp, grouped(xp, grad_output, groups), (0,) * rank, m, m, counts))
    products = xp.matmul(g, xp.permute_dims(d, (*range(rank + 1), rank + 2, rank + 1)))
    grad = xp.permute_dims(_transformed(xp, to_weight, products), (rank, rank + 1, rank + 2, *range(rank)))
    return xp.reshape(grad, (grad_output.shape[1], x.shape[1] // groups, *kernel_size))
