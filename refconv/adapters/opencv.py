"""OpenCV's filters where they are a convolution or a pooling: one channel at a time, two axes.

Conventions translated. `filter2D` correlates, as convolution here does, from an anchor, which is the padding before;
what padding its own border does not make is written beside the image first, and a stride cuts. A dilated kernel has
zeros between its taps. Many outputs of one channel are as many calls; a sum over channels is none of its, and declined.
`delta` is the bias. `convolve` flips the kernel. A maximum is `dilate` with a rectangle, an average `boxFilter`, which
divides by the whole window: zeros count. Claims: `filter2D` is documented to compute by a discrete Fourier transform
where a kernel is large, so the class is that of a transform.

OpenCV offers float32 and float64. Gradients, one and three axes, and averages over part of a window are declined.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refconv.adapters import translate
from refconv.claims import Claims
from refconv.dtypes import Array
from refconv.features import Scope
from refconv.spec import Pairs, full_output_size
from refconv.subject import Subject

SCOPE = Scope(pairs=True)


def subject() -> Subject:
    """conv2d of one channel or depthwise, max_pool2d, avg_pool2d, and signals of two axes."""
    import cv2

    functions = translate.functions(cv2, {"conv": _conv, "max_pool": _max_pool, "avg_pool": _avg_pool}, ranks=(2,))
    functions |= translate.functions(cv2, {"convolve": _convolve, "correlate": _correlate}, ranks=(0,))
    return Subject("opencv", functions, Claims(algorithm="fft"), SCOPE)


def _conv(cv2: Any, input: Array, weight: Array, bias: Array | None = None, **arguments: Any) -> Array:
    spec = translate.conv(input, weight, **arguments)
    if weight.shape[1] != 1:
        raise NotImplementedError("filter2D does not sum over channels")
    n, size = len(input), spec.output_size(input.shape[2:], weight.shape[2:])
    kernels, each = holes(weight[:, 0], spec.dilation), weight.shape[0] // spec.groups
    out = np.empty((n, len(weight), *size), _known(input))
    for i, o in np.ndindex(n, len(weight)):
        image, anchor = _bordered(input[i, o // each], spec.padding, kernels[o].shape)
        delta = 0.0 if bias is None else float(bias[o])
        y = cv2.filter2D(image, -1, kernels[o], None, anchor, delta, cv2.BORDER_CONSTANT)
        out[i, o] = thinned(y, spec.stride, size)
    return out


def _max_pool(cv2: Any, input: Array, **arguments: Any) -> Array:
    spec = translate.window(input, **arguments)
    size, pairs = spec.output_size(input.shape[2:]), translate.pads_beside_windows(spec, input.shape[2:])
    shape = holes(np.ones((1, *spec.kernel_size), np.uint8), spec.dilation)[0]
    out = np.empty((*input.shape[:2], *size), _known(input))
    for i in np.ndindex(input.shape[:2]):
        image = np.pad(input[i], pairs, constant_values=-np.inf)
        y = cv2.dilate(image, shape, None, (0, 0), 1, cv2.BORDER_CONSTANT)
        out[i] = thinned(y, spec.stride, size)
    return out


def _avg_pool(cv2: Any, input: Array, **arguments: Any) -> Array:
    spec = translate.window(input, **arguments)
    size = spec.output_size(input.shape[2:])
    if not translate.zeros_count(spec, input.shape[2:]):
        raise NotImplementedError("boxFilter divides by the whole window")
    pairs = translate.pads_beside_windows(spec, input.shape[2:])
    out = np.empty((*input.shape[:2], *size), _known(input))
    for i in np.ndindex(input.shape[:2]):
        image, anchor = _bordered(input[i], pairs, spec.kernel_size)
        y = cv2.boxFilter(image, -1, spec.kernel_size[::-1], None, anchor, True, cv2.BORDER_CONSTANT)
        out[i] = thinned(y, spec.stride, size)
    return out


def _correlate(cv2: Any, in1: Array, in2: Array, mode: str = "full") -> Array:
    if in1.ndim != 2:
        raise NotImplementedError("images have two axes")
    size, whole = full_output_size(in1.shape, in2.shape, mode), full_output_size(in1.shape, in2.shape, "full")
    if mode == "valid" and size != tuple(n - m + 1 for n, m in zip(in1.shape, in2.shape, strict=True)):
        raise NotImplementedError("the kernel is the second operand")
    _known(in1)
    image = np.pad(in1, [(m - 1, m - 1) for m in in2.shape])
    y = cv2.filter2D(image, -1, np.ascontiguousarray(in2), None, (0, 0), 0.0, cv2.BORDER_CONSTANT)
    first = [(n - m) // 2 for n, m in zip(whole, size, strict=True)]
    return np.array(y[tuple(slice(a, a + n) for a, n in zip(first, size, strict=True))])


def _convolve(cv2: Any, in1: Array, in2: Array, mode: str = "full") -> Array:
    return _correlate(cv2, in1, np.flip(in2), mode)


def _known(a: Array) -> Any:
    if a.dtype not in (np.float32, np.float64):
        raise NotImplementedError(f"OpenCV's filters do not take {a.dtype}")
    return a.dtype


def _bordered(image: Array, pairs: Pairs, extent: tuple[int, ...]) -> tuple[Array, tuple[int, int]]:
    """The image, and the anchor (x, y) with which its border is the padding; beyond that, zeros are written."""
    if all(a + b < e for (a, b), e in zip(pairs, extent, strict=True)):
        return np.ascontiguousarray(image), (pairs[1][0], pairs[0][0])
    return np.pad(image, pairs), (0, 0)


def holes(kernels: Array, dilation: tuple[int, ...]) -> Array:
    """Kernels (O, ...) with zeros between their taps.

    >>> holes(np.ones((1, 1, 2)), (1, 3))
    array([[[1., 0., 0., 1.]]])
    """
    size = [d * (k - 1) + 1 for d, k in zip(dilation, kernels.shape[1:], strict=True)]
    out = np.zeros((len(kernels), *size), kernels.dtype)
    out[(slice(None), *(slice(None, None, d) for d in dilation))] = kernels
    return out


def thinned(y: Array, stride: tuple[int, ...], size: tuple[int, ...]) -> Array:
    """Every so many of the cells, so many of them.

    >>> thinned(np.arange(6.0).reshape(1, 6), (1, 2), (1, 2))
    array([[0., 2.]])
    """
    return y[tuple(slice(0, (n - 1) * s + 1, s) for n, s in zip(size, stride, strict=True))]
