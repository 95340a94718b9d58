"""Convolution through the convolution theorem: transform the whole image, multiply, transform back.

Not local: a NaN or an infinity spreads over its whole image, and errors are relative to the largest output.
"""

from __future__ import annotations

from math import prod
from typing import Any

import scipy.fft

from refconv.portable import direct
from refconv.portable.channels import grouped, grouped_kernel, joined, rotated
from refconv.portable.taps import padded, stretched
from refconv.spec import ConvSpec, Sizes

__all__ = ["conv", "input_grad", "weight_grad"]

Array = Any


def _transform(xp: Any, x: Array, lengths: Sizes) -> Array:
    axes = tuple(range(x.ndim - len(lengths), x.ndim))
    real = xp.isdtype(x.dtype, "real floating")
    return (xp.fft.rfftn if real else xp.fft.fftn)(x, s=lengths, axes=axes)


def _inverse(xp: Any, spectrum: Array, lengths: Sizes, real: bool) -> Array:
    axes = tuple(range(spectrum.ndim - len(lengths), spectrum.ndim))
    return (xp.fft.irfftn if real else xp.fft.ifftn)(spectrum, s=lengths, axes=axes)


def _contract(xp: Any, x: Array, w: Array) -> Array:
    """Sum over channels at each frequency: (N, groups, C, *f) and (groups, O, C, *f) -> (N, groups, O, *f)."""
    size = prod(x.shape[3:])
    xs = xp.permute_dims(xp.reshape(x, (*x.shape[:3], size)), (1, 3, 0, 2))  # (groups, f, N, C)
    ws = xp.permute_dims(xp.reshape(w, (*w.shape[:3], size)), (0, 3, 2, 1))  # (groups, f, C, O)
    products = xp.permute_dims(xp.matmul(xs, ws), (2, 0, 3, 1))
    return xp.reshape(products, (x.shape[0], *w.shape[:2], *x.shape[3:]))


def _correlate(xp: Any, x: Array, w: Array) -> Array:
    """Every position where the kernel fits: (N, groups, C, *n), (groups, O, C, *e) -> (N, groups, O, *(n - e + 1))."""
    sizes = tuple(zip(x.shape[3:], w.shape[3:], strict=True))
    lengths = tuple(int(scipy.fft.next_fast_len(max(1, n), real=True)) for n, _ in sizes)
    # Conjugated twice, so that a complex kernel is itself not conjugated.
    real = xp.isdtype(x.dtype, "real floating")
    kernel = xp.conj(_transform(xp, w if real else xp.conj(w), lengths))
    y = _inverse(xp, _contract(xp, _transform(xp, x, lengths), kernel), lengths, real)
    return y[(..., *(slice(0, n - e + 1) for n, e in sizes))]


def _sampled(y: Array, step: Sizes, size: Sizes) -> Array:
    """Every step-th element of the last axes, `size` of them."""
    return y[(..., *(slice(0, (n - 1) * s + 1 if n else 0, s) for n, s in zip(size, step, strict=True)))]


def conv(xp: Any, x: Array, w: Array, spec: ConvSpec) -> Array:
    """x (N, C, *input_size), w (O, C/groups, *kernel_size) -> (N, O, *output_size), floating or complex."""
    size = spec.output_size(x.shape[2:], w.shape[2:])
    if 0 in (*x.shape, *w.shape, *size):  # nothing to transform
        return direct.conv(xp, x, w, spec)
    kernel = stretched(xp, grouped_kernel(xp, w, spec.groups), spec.dilation)
    y = _correlate(xp, padded(xp, grouped(xp, x, spec.groups), spec.padding), kernel)
    return joined(xp, _sampled(y, spec.stride, size), size)


def input_grad(xp: Any, grad_output: Array, w: Array, spec: ConvSpec, input_size: Sizes) -> Array:
    """grad_output, zeros in between, fully padded, correlated with the rotated kernel: -> (N, C, *input_size)."""
    if 0 in (*grad_output.shape, *w.shape):
        return direct.input_grad(xp, grad_output, w, spec, input_size)
    g, one = stretched(xp, grad_output, spec.stride), (1,) * spec.rank
    sizes = zip(spec.extent(w.shape[2:]), spec.padding, input_size, g.shape[2:], strict=True)
    padding = tuple((e - 1 - before, n - m + before) for e, (before, _), n, m in sizes)
    return conv(xp, g, rotated(xp, w, spec.groups), ConvSpec(one, padding, spec.dilation, spec.groups))


def weight_grad(xp: Any, grad_output: Array, x: Array, spec: ConvSpec, kernel_size: Sizes) -> Array:
    """x correlated with grad_output, images in the part of channels: -> (O, C/groups, *kernel_size).

    Stride and dilation change places: the kernel of this correlation is grad_output.
    """
    if 0 in (*grad_output.shape, *x.shape):
        return direct.weight_grad(xp, grad_output, x, spec, kernel_size)
    space = tuple(range(3, x.ndim + 1))
    kernel = xp.permute_dims(stretched(xp, grouped(xp, grad_output, spec.groups), spec.stride), (1, 2, 0, *space))
    images = xp.permute_dims(padded(xp, grouped(xp, x, spec.groups), spec.padding), (2, 1, 0, *space))
    grad = _sampled(_correlate(xp, images, kernel), spec.dilation, kernel_size)  # (C/groups, groups, O/groups, *k)
    shape = (grad_output.shape[1], x.shape[1] // spec.groups, *kernel_size)
    return xp.reshape(xp.permute_dims(grad, (1, 2, 0, *space)), shape)
