"""Convolution as a dense layer under constraint: one sparse matrix whose entries repeat the weights.

The matrix of one image is block Toeplitz; most entries are absent (sparse connectivity) and all others are weights,
each in many places (parameter sharing). Its transpose gives the input gradient, its index map the weight gradient.
Taps on the padding have no entry, so a NaN or an infinity reaches only the outputs that read it.
"""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

from refconv.spec import ConvSpec, Sizes

__all__ = ["conv", "input_grad", "matrix", "needs", "weight_grad"]

Array = NDArray[Any]
Index = NDArray[np.intp]

OVERHEAD = 2**18  # bytes of Python objects and of NumPy's own buffers
ENTRY_BYTES = 100  # of an entry, its places and their copies, while the matrix is built
LARGEST_MATRIX = 20_000_000  # entries: about half a gigabyte while it is built


def _axis(n: int, outputs: int, before: int, stride: int, dilation: int, taps: int) -> list[tuple[Index, Index]]:
    """For each tap of one axis: the outputs it serves and the inputs they read."""
    p = np.arange(outputs, dtype=np.intp)
    pairs = []
    for tap in range(taps):
        read = p * stride + tap * dilation - before
        inside = (read >= 0) & (read < n)
        pairs.append((p[inside], read[inside]))
    return pairs


def _flat(indices: list[Index], size: Sizes) -> Index:
    """Row-major position of every combination of the axes' indices."""
    return np.ravel_multi_index(np.meshgrid(*indices, indexing="ij"), size).ravel()


def _connections(
    spec: ConvSpec, input_size: Sizes, output_size: Sizes, kernel_size: Sizes
) -> list[tuple[Index, Index]]:
    """For each tap, row-major: which outputs of a channel read which inputs of a channel."""
    axes = [
        _axis(n, p, before, s, d, k)
        for n, p, (before, _), s, d, k in zip(
            input_size, output_size, spec.padding, spec.stride, spec.dilation, kernel_size, strict=True
        )
    ]
    return [
        (_flat([o for o, _ in taps], output_size), _flat([i for _, i in taps], input_size))
        for taps in itertools.product(*axes)
    ]


def _structure(
    spec: ConvSpec, input_size: Sizes, output_size: Sizes, weight_shape: Sizes
) -> tuple[Index, Index, Index]:
    """Row, column and length of the run of entries of each weight, weights in row-major order."""
    axes = [
        sum(o.size for o, _ in _axis(n, p, before, s, d, k))
        for n, p, (before, _), s, d, k in zip(
            input_size, output_size, spec.padding, spec.stride, spec.dilation, weight_shape[2:], strict=True
        )
    ]
    entries = math.prod(weight_shape[:2]) * math.prod(axes)
    if entries > LARGEST_MATRIX:
        raise NotImplementedError(f"its matrix would have {entries} entries, but at most {LARGEST_MATRIX} are allowed")
    taps = _connections(spec, input_size, output_size, weight_shape[2:])
    rows, columns = (np.concatenate([t[i] for t in taps]) for i in (0, 1))
    lengths = np.array([t[0].size for t in taps], dtype=np.intp)
    out, channel = np.indices(weight_shape[:2]).reshape(2, -1, 1)
    # Channel of the whole input: groups lie one after the other.
    channel = channel + out // max(1, weight_shape[0] // spec.groups) * weight_shape[1]
    all_rows = (out * math.prod(output_size) + rows).ravel()
    all_columns = (channel * math.prod(input_size) + columns).ravel()
    return all_rows, all_columns, np.tile(lengths, math.prod(weight_shape[:2]))


def _matrix(w: Array, spec: ConvSpec, input_size: Sizes, output_size: Sizes) -> Any:
    rows, columns, lengths = _structure(spec, input_size, output_size, w.shape)
    shape = (w.shape[0] * math.prod(output_size), w.shape[1] * spec.groups * math.prod(input_size))
    return scipy.sparse.csr_array((np.repeat(w.ravel(), lengths), (rows, columns)), shape=shape)


def matrix(w: Array, spec: ConvSpec, input_size: Sizes) -> Any:
    """The SciPy CSR array T (O prod(output_size), C prod(input_size)) with T @ x.ravel() = y.ravel().

    Raises NotImplementedError where it would have more than `LARGEST_MATRIX` entries.

    >>> matrix(np.array([[[1, 2]]]), ConvSpec((1,), ((0, 0),), (1,)), (4,)).toarray()
    array([[1, 2, 0, 0],
           [0, 1, 2, 0],
           [0, 0, 1, 2]])
    """
    return _matrix(w, spec, input_size, spec.output_size(input_size, w.shape[2:]))


def _product(operator: Any, x: Array, shape: Sizes) -> Array:
    """Apply a matrix to each image of a batch, images as columns: -> (N, *shape)."""
    images = x.reshape(x.shape[0], math.prod(x.shape[1:])).T
    return np.ascontiguousarray((operator @ images).T, dtype=x.dtype).reshape(x.shape[0], *shape)


def needs(kind: str, spec: ConvSpec, x: Sizes, w: Sizes, itemsize: int) -> int:
    """The most bytes that a call allocates beside its operands and result; x and w are the convolution's shapes."""
    y = math.prod(spec.output_size(x[2:], w[2:]))
    return OVERHEAD + ENTRY_BYTES * math.prod(w) * y + 3 * itemsize * x[0] * (w[0] * y + math.prod(x[1:]))


def conv(x: Array, w: Array, spec: ConvSpec) -> Array:
    """y = T x: x (N, C, *input_size), w (O, C/groups, *kernel_size) -> (N, O, *output_size).

    >>> conv(np.arange(4.0).reshape(1, 1, 4), np.ones((1, 1, 2)), ConvSpec((1,), ((0, 0),), (1,)))
    array([[[1., 3., 5.]]])
    """
    output_size = spec.output_size(x.shape[2:], w.shape[2:])
    return _product(_matrix(w, spec, x.shape[2:], output_size), x, (w.shape[0], *output_size))


def input_grad(grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """T transposed: grad_output (N, O, *output_size), w (O, C/groups, *kernel_size) -> (N, C, *input_size)."""
    transposed = _matrix(w, spec, input_size, grad_output.shape[2:]).T.tocsr()
    return _product(transposed, grad_output, (w.shape[1] * spec.groups, *input_size))


def weight_grad(grad_output: Array, x: Array, spec: ConvSpec, kernel_size: Sizes) -> Array:
    """Each weight's gradient is the sum, over its entries in T, of what the entry's gradient is: dZ[row] x[column].

    grad_output (N, O, *output_size), x (N, C, *input_size) -> (O, C/groups, *kernel_size).
    """
    shape = (grad_output.shape[1], x.shape[1] // spec.groups, *kernel_size)
    rows, columns, lengths = _structure(spec, x.shape[2:], grad_output.shape[2:], shape)
    entries = np.zeros(rows.size, x.dtype)
    for g, image in zip(grad_output, x, strict=True):
        entries += g.ravel()[rows] * image.ravel()[columns]
    grad = np.zeros(math.prod(shape), x.dtype)
    used = lengths > 0
    if used.any():
        starts = (np.cumsum(lengths) - lengths)[used]
        grad[used] = np.add.reduceat(entries, starts)
    return grad.reshape(shape)
