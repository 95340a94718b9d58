"""Convolution from its definition: one strided slice times one small matrix for each kernel tap, added up."""

from __future__ import annotations

from functools import reduce
from math import prod
from operator import add
from typing import Any

from refconv.portable.channels import grouped, grouped_kernel, joined, product, swap
from refconv.portable.taps import padded, taps, untaps
from refconv.spec import ConvSpec, Sizes

__all__ = ["conv", "input_grad", "weight_grad"]

Array = Any


def _matrices(xp: Any, w: Array, groups: int) -> list[Array]:
    """One matrix (groups, O/groups, C/groups) for each tap in row-major order."""
    flat = xp.reshape(grouped_kernel(xp, w, groups), (groups, w.shape[0] // groups, w.shape[1], prod(w.shape[2:])))
    return [flat[..., t] for t in range(flat.shape[-1])]


def _mix(xp: Any, matrix: Array, x: Array) -> Array:
    """Combine channels: (groups, O, C) applied to (N, groups, C, *n) -> (N, groups, O, *n)."""
    if matrix.shape[-1] == 1:  # depthwise: a product of scalars, no sum to take
        return xp.reshape(matrix, (*matrix.shape, *(1,) * (x.ndim - 4))) * x if x.ndim > 3 else matrix * x
    flat = product(xp, matrix, xp.reshape(x, (*x.shape[:3], prod(x.shape[3:]))))
    return xp.reshape(flat, (*flat.shape[:3], *x.shape[3:]))


def _reads(xp: Any, x: Array, spec: ConvSpec, kernel_size: Sizes, counts: Sizes) -> list[Array]:
    """(N, groups, C/groups, *counts) for each tap."""
    xs = padded(xp, grouped(xp, x, spec.groups), spec.padding)
    return taps(xs, kernel_size, counts, spec.stride, spec.dilation)


def conv(xp: Any, x: Array, w: Array, spec: ConvSpec) -> Array:
    """x (N, C, *input_size), w (O, C/groups, *kernel_size) -> (N, O, *output_size)."""
    size = spec.output_size(x.shape[2:], w.shape[2:])
    reads = _reads(xp, x, spec, w.shape[2:], size)
    parts = [_mix(xp, m, read) for m, read in zip(_matrices(xp, w, spec.groups), reads, strict=True)]
    return joined(xp, reduce(add, parts), size)


def input_grad(xp: Any, grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """grad_output (N, O, *output_size), w (O, C/groups, *kernel_size) -> (N, C, *input_size)."""
    g = grouped(xp, grad_output, spec.groups)
    parts = [_mix(xp, swap(xp, m, 1, 2), g) for m in _matrices(xp, w, spec.groups)]
    return joined(xp, untaps(xp, parts, w.shape[2:], spec, input_size), input_size)


def weight_grad(xp: Any, grad_output: Array, x: Array, spec: ConvSpec, kernel_size: Sizes) -> Array:
    """grad_output (N, O, *output_size), x (N, C, *input_size) -> (O, C/groups, *kernel_size)."""
    counts, g = grad_output.shape[2:], grouped(xp, grad_output, spec.groups)
    rows = xp.reshape(g, (*g.shape[:3], prod(counts)))
    parts = []
    for read in _reads(xp, x, spec, kernel_size, counts):
        columns = swap(xp, xp.reshape(read, (*read.shape[:3], prod(counts))), 2, 3)
        parts.append(xp.sum(product(xp, rows, columns), axis=0, dtype=x.dtype))
    shape = (grad_output.shape[1], x.shape[1] // spec.groups, *kernel_size)
    return xp.reshape(xp.stack(parts, axis=-1), shape)
