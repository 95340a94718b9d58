"""Convolution as one matrix product with the patches of the input, and back [Chellapilla, Puri, Simard 2006]."""

from __future__ import annotations

from math import prod
from typing import Any

from refconv.portable.channels import grouped, joined, product, swap
from refconv.portable.taps import padded, taps, untaps
from refconv.spec import ConvSpec, Sizes

__all__ = ["conv", "input_grad", "weight_grad"]

Array = Any


def _columns(xp: Any, x: Array, spec: ConvSpec, kernel_size: Sizes, counts: Sizes) -> Array:
    """(N, C, *input_size) -> (N, groups, C/groups * taps, positions): in each column what one window reads."""
    xs = padded(xp, grouped(xp, x, spec.groups), spec.padding)
    reads = xp.stack(taps(xs, kernel_size, counts, spec.stride, spec.dilation), axis=3)
    return xp.reshape(reads, (*reads.shape[:2], reads.shape[2] * reads.shape[3], prod(counts)))


def _rows(xp: Any, w: Array, groups: int) -> Array:
    """(O, C/groups, *kernel_size) -> (groups, O/groups, C/groups * taps)."""
    return xp.reshape(w, (groups, w.shape[0] // groups, prod(w.shape[1:])))


def conv(xp: Any, x: Array, w: Array, spec: ConvSpec) -> Array:
    """x (N, C, *input_size), w (O, C/groups, *kernel_size) -> (N, O, *output_size)."""
    size = spec.output_size(x.shape[2:], w.shape[2:])
    y = product(xp, _rows(xp, w, spec.groups), _columns(xp, x, spec, w.shape[2:], size))
    return joined(xp, y, size)


def input_grad(xp: Any, grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """grad_output (N, O, *output_size), w (O, C/groups, *kernel_size) -> (N, C, *input_size)."""
    g, counts, size = grouped(xp, grad_output, spec.groups), grad_output.shape[2:], prod(w.shape[2:])
    flat = xp.reshape(g, (*g.shape[:3], prod(counts)))
    columns = product(xp, swap(xp, _rows(xp, w, spec.groups), 1, 2), flat)
    parts = xp.reshape(columns, (*g.shape[:2], w.shape[1], size, *counts))
    alone = [parts[:, :, :, t, ...] for t in range(size)]
    return joined(xp, untaps(xp, alone, w.shape[2:], spec, input_size), input_size)


def weight_grad(xp: Any, grad_output: Array, x: Array, spec: ConvSpec, kernel_size: Sizes) -> Array:
    """grad_output (N, O, *output_size), x (N, C, *input_size) -> (O, C/groups, *kernel_size)."""
    counts = grad_output.shape[2:]
    columns = _columns(xp, x, spec, kernel_size, counts)
    g = grouped(xp, grad_output, spec.groups)
    positions = g.shape[0] * prod(counts)
    rows = xp.reshape(
        xp.permute_dims(xp.reshape(g, (*g.shape[:3], prod(counts))), (1, 2, 0, 3)), (*g.shape[1:3], positions)
    )
    reads = xp.reshape(xp.permute_dims(columns, (1, 0, 3, 2)), (spec.groups, positions, columns.shape[2]))
    shape = (grad_output.shape[1], x.shape[1] // spec.groups, *kernel_size)
    return xp.reshape(product(xp, rows, reads), shape)
