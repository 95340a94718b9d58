"""True convolution of two N-D arrays in several independent ways: directly, by transforms, as a matrix.

Every way computes the part of the full convolution that starts at `start` and has shape `size`; a correlation is the
convolution with the second operand mirrored and conjugated, so it needs no way of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import prod
from typing import Any, NamedTuple

import numpy as np
import scipy.fft
import scipy.sparse
from numpy.typing import NDArray

from refconv.spec import Sizes

__all__ = ["CONVOLVE", "Way"]

Array = NDArray[Any]
Slices = tuple[slice, ...]

_LEAST_BLOCK = 32  # shorter blocks cost more calls than they save work


class Way(NamedTuple):
    """One way to compute an operation: the function, what it does, and the error class it meets."""

    function: Callable[..., Array]
    summary: str
    claim: str


def _shifts(size1: Sizes, size2: Sizes, start: Sizes, size: Sizes) -> Iterator[tuple[Sizes, Slices, Slices]]:
    """For each index of the second operand: the part of the output that it reaches, and what is read there."""
    for tap in np.ndindex(*size2):
        dst, src = [], []
        for n, t, first, out in zip(size1, tap, start, size, strict=True):
            low, high = max(0, t - first), min(out, n + t - first)
            high = max(low, high)
            dst.append(slice(low, high))
            src.append(slice(low + first - t, high + first - t))
        yield tap, tuple(dst), tuple(src)


def direct(a: Array, b: Array, start: Sizes, size: Sizes) -> Array:
    """h[k] = sum over t of a[k - t] b[t], one t at a time over the smaller operand."""
    if b.size > a.size:
        a, b = b, a
    result = np.zeros(size, dtype=a.dtype)
    for tap, dst, src in _shifts(a.shape, b.shape, start, size):
        result[dst] += a[src] * b[tap]
    return result


def toeplitz(a: Array, b: Array, start: Sizes, size: Sizes) -> Array:
    """The sparse matrix T with T[k, i] = b[k - i], (multi-)Toeplitz, times the larger operand as one vector."""
    if b.size > a.size:
        a, b = b, a
    columns, rows = np.arange(a.size).reshape(a.shape), np.arange(prod(size)).reshape(size)
    blocks = [
        (b[tap], rows[dst].ravel(), columns[src].ravel()) for tap, dst, src in _shifts(a.shape, b.shape, start, size)
    ]
    where = np.concatenate([row for _, row, _ in blocks]), np.concatenate([column for *_, column in blocks])
    values = np.repeat(np.array([value for value, *_ in blocks], dtype=b.dtype), [len(row) for _, row, _ in blocks])
    matrix = scipy.sparse.coo_array((values, where), shape=(rows.size, a.size)).tocsr()
    return np.array((matrix @ a.ravel()).reshape(size))


def _product_of_transforms(a: Array, b: Array) -> Array:
    """The full convolution as the inverse transform of the product of the transforms [convolution theorem]."""
    full = tuple(n + m - 1 for n, m in zip(a.shape, b.shape, strict=True))
    real = a.dtype.kind != "c"
    fast = [scipy.fft.next_fast_len(n, real=real) for n in full]
    if real:
        result = scipy.fft.irfftn(scipy.fft.rfftn(a, fast) * scipy.fft.rfftn(b, fast), fast)
    else:
        result = scipy.fft.ifftn(scipy.fft.fftn(a, fast) * scipy.fft.fftn(b, fast))
    return np.asarray(result[tuple(map(slice, full))])


def fft(a: Array, b: Array, start: Sizes, size: Sizes) -> Array:
    crop = tuple(slice(first, first + out) for first, out in zip(start, size, strict=True))
    return _product_of_transforms(a, b)[crop].copy()


def overlap_add(a: Array, b: Array, start: Sizes, size: Sizes) -> Array:
    """Blocks of the larger operand, about as long as the smaller one, convolved by transforms and added up."""
    if b.size > a.size:
        a, b = b, a
    full = np.zeros([n + m - 1 for n, m in zip(a.shape, b.shape, strict=True)], dtype=a.dtype)
    lengths = [max(m, _LEAST_BLOCK) for m in b.shape]
    for corner in product(*(range(0, n, length) for n, length in zip(a.shape, lengths, strict=True))):
        block = a[tuple(slice(c, c + length) for c, length in zip(corner, lengths, strict=True))]
        part = _product_of_transforms(block, b)
        full[tuple(slice(c, c + n) for c, n in zip(corner, part.shape, strict=True))] += part
    crop = tuple(slice(first, first + out) for first, out in zip(start, size, strict=True))
    return full[crop].copy()


CONVOLVE: dict[str, Way] = {
    "direct": Way(direct, "sum of shifted, scaled copies of the larger operand", "direct"),
    "toeplitz": Way(toeplitz, "sparse Toeplitz matrix times the larger operand as a vector", "direct"),
    "fft": Way(fft, "product of the transforms of both operands", "fft"),
    "overlap_add": Way(overlap_add, "product of transforms, block by block, added where blocks overlap", "fft"),
}
