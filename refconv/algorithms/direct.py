"""Convolution from its definition: one multiply-add of a strided slice for each kernel tap.

A tap that falls on the padding is skipped, never multiplied by zero: a NaN or an infinity reaches exactly the
outputs that read it, and no infinite weight meets the border. Sums are taken in the computing dtype.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv import threads
from refconv.blocks import Box, boxes
from refconv.spec import ConvSpec, Sizes

__all__ = ["conv", "input_grad", "input_grad_rot180", "needs", "weight_grad"]

Array = NDArray[Any]
Slices = tuple[slice, ...]

OVERHEAD = 2**16  # bytes of Python objects and of NumPy's own buffers


def _space(places: Iterable[slice | int]) -> tuple[Any, ...]:
    """Index the last axes, keep those before."""
    return (..., *places)


def _reach(tap: int, n: int, outputs: int, before: int, dilation: int, stride: int) -> tuple[slice, slice]:
    """The outputs whose `tap` falls inside an axis of size n, and the inputs it reads there."""
    offset = tap * dilation - before
    first = max(0, -(offset // stride))  # smallest p with p stride + offset >= 0
    count = max(0, min(outputs, (n - 1 - offset) // stride + 1) - first)
    start = first * stride + offset if count else 0
    return slice(first, first + count), slice(start, start + max(0, (count - 1) * stride + 1), stride)


def _taps(
    spec: ConvSpec, input_size: Sizes, output_size: Sizes, kernel_size: Sizes
) -> Iterator[tuple[Sizes, Slices, Slices]]:
    """For each kernel tap that meets the input: its index, the outputs that use it, the inputs it reads."""
    axes = [
        [_reach(tap, n, p, before, d, s) for tap in range(k)]
        for k, n, p, (before, _), d, s in zip(
            kernel_size, input_size, output_size, spec.padding, spec.dilation, spec.stride, strict=True
        )
    ]
    for tap in itertools.product(*map(range, kernel_size)):
        reach = [axis[t] for axis, t in zip(axes, tap, strict=True)]
        if all(outputs.stop > outputs.start for outputs, _ in reach):
            yield tap, tuple(o for o, _ in reach), tuple(i for _, i in reach)


def _grouped(x: Array, groups: int) -> Array:
    """(N, C, *n) -> (N, groups, C/groups, *n)."""
    return x.reshape(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:])


def _grouped_kernel(w: Array, groups: int) -> Array:
    """(O, C/groups, *k) -> (*k, groups, O/groups, C/groups): one small matrix for each tap and group."""
    taps_first = np.moveaxis(w.reshape(groups, w.shape[0] // groups, *w.shape[1:]), (0, 1, 2), (-3, -2, -1))
    return np.ascontiguousarray(taps_first)


def _mix(matrix: Array, x: Array) -> Array:
    """Combine channels: (groups, O, C) applied to (N, groups, C, *n) -> (N, groups, O, *n)."""
    if matrix.shape[-1] == 1:  # depthwise: a product of scalars, no sum to take
        return np.asarray(matrix.reshape(*matrix.shape[:-1], *(1,) * (x.ndim - 3)) * x)
    mixed: Array = np.matmul(matrix, x.reshape(*x.shape[:3], math.prod(x.shape[3:])))
    return mixed.reshape(*x.shape[:2], matrix.shape[1], *x.shape[3:])


def _parts(groups: int, channels: int, outputs: int, w: Sizes) -> list[Box]:
    """Boxes over (groups, channels), one for each thread: of so many outputs, each a sum by a weight of shape w."""
    work = outputs * math.prod(w[2:]) * (w[1] + threads.ELEMENT)
    return boxes((groups, channels), max(1, groups * channels), threads.several(work))


def needs(kind: str, spec: ConvSpec, x: Sizes, w: Sizes, itemsize: int) -> int:
    """The most bytes that a call allocates beside its operands and result; x and w are the convolution's shapes."""
    positions = x[0] * math.prod(spec.output_size(x[2:], w[2:]))
    products = x[0] * math.prod(w[:2]) if kind == "weight_grad" else 0  # of one tap, for each image
    return OVERHEAD + itemsize * (2 * (w[0] + threads.count() * x[1]) * positions + math.prod(w) + products)


def conv(x: Array, w: Array, spec: ConvSpec) -> Array:
    """y[o, p] = sum over c, t of w[o, c, t] x[c, p stride + t dilation - padding].

    x (N, C, *input_size), w (O, C/groups, *kernel_size) -> (N, O, *output_size).

    >>> conv(np.arange(4.0).reshape(1, 1, 4), np.ones((1, 1, 2)), ConvSpec((1,), ((0, 0),), (1,)))
    array([[[1., 3., 5.]]])
    """
    input_size, kernel_size = x.shape[2:], w.shape[2:]
    output_size = spec.output_size(input_size, kernel_size)
    matrices, xs = _grouped_kernel(w, spec.groups), _grouped(x, spec.groups)
    y = np.zeros((x.shape[0], spec.groups, w.shape[0] // spec.groups, *output_size), x.dtype)

    def add(part: Box) -> None:
        rows, some = y[:, part[0], part[1]], xs[:, part[0]]
        for tap, outputs, inputs in _taps(spec, input_size, output_size, kernel_size):
            rows[_space(outputs)] += _mix(matrices[tap][part], some[_space(inputs)])

    threads.each(add, _parts(y.shape[1], y.shape[2], y.size, w.shape))
    return y.reshape(x.shape[0], w.shape[0], *output_size)


def input_grad(grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """The gradient with respect to the input, from the definition: each output's gradient is scattered over its taps.

    grad_output (N, O, *output_size), w (O, C/groups, *kernel_size) -> (N, C, *input_size). As a transposed
    convolution `grad_output` may have fewer outputs than the input size allows.
    """
    matrices = _grouped_kernel(w, spec.groups).swapaxes(-1, -2)  # (*k, groups, C/groups, O/groups)
    gs = _grouped(grad_output, spec.groups)
    grad = np.zeros((gs.shape[0], spec.groups, w.shape[1], *input_size), gs.dtype)

    def add(part: Box) -> None:
        rows, some = grad[:, part[0], part[1]], gs[:, part[0]]
        for tap, outputs, inputs in _taps(spec, input_size, grad_output.shape[2:], w.shape[2:]):
            rows[_space(inputs)] += _mix(matrices[tap][part], some[_space(outputs)])

    threads.each(add, _parts(grad.shape[1], grad.shape[2], gs.size, w.shape))
    return grad.reshape(gs.shape[0], spec.groups * w.shape[1], *input_size)


def weight_grad(grad_output: Array, x: Array, spec: ConvSpec, kernel_size: Sizes) -> Array:
    """The gradient with respect to the weight: for each tap, the sum over images and positions of dZ times X.

    grad_output (N, O, *output_size), x (N, C, *input_size) -> (O, C/groups, *kernel_size).
    """
    gs, xs = _grouped(grad_output, spec.groups), _grouped(x, spec.groups)
    shape = (spec.groups, gs.shape[2], xs.shape[2])
    grad = np.zeros((*shape, *kernel_size), x.dtype)

    def add(part: Box) -> None:
        for tap, outputs, inputs in _taps(spec, x.shape[2:], grad_output.shape[2:], kernel_size):
            g, seen = gs[:, part[0], part[1]][_space(outputs)], xs[:, part[0]][_space(inputs)]
            positions = math.prod(g.shape[3:])
            products = np.matmul(  # (N, groups, O/groups, C/groups)
                g.reshape(*g.shape[:3], positions), seen.reshape(*seen.shape[:3], positions).swapaxes(-1, -2)
            )
            grad[part][_space(tap)] = products.sum(axis=0)

    threads.each(add, _parts(gs.shape[1], gs.shape[2], gs.size, (gs.shape[1], xs.shape[2], *kernel_size)))
    return grad.reshape(grad_output.shape[1], xs.shape[2], *kernel_size)


def input_grad_rot180(grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """The same gradient as a convolution: dX = dZ, fully padded, with the kernel rotated by 180 degrees.

    For a stride s, s - 1 zeros first go between the elements of dZ. `input_grad` avoids these zeros.
    """
    groups, rank = spec.groups, spec.rank
    stretched = tuple((n - 1) * s + 1 if n else 0 for n, s in zip(grad_output.shape[2:], spec.stride, strict=True))
    g = np.zeros((*grad_output.shape[:2], *stretched), grad_output.dtype)
    g[_space(slice(None, None, s) for s in spec.stride)] = grad_output
    # Padding of e - 1 before, less what the convolution padded; negative where that is more: it crops.
    padding = tuple(
        (e - 1 - before, n - m + before)
        for e, (before, _), n, m in zip(spec.extent(w.shape[2:]), spec.padding, input_size, stretched, strict=True)
    )
    swapped = w.reshape(groups, w.shape[0] // groups, *w.shape[1:]).swapaxes(1, 2)
    rotated = np.flip(swapped, tuple(range(-rank, 0)))
    rotated = rotated.reshape(groups * w.shape[1], w.shape[0] // groups, *w.shape[2:])
    return conv(g, rotated, ConvSpec((1,) * rank, padding, spec.dilation, groups))
