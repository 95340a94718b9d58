"""SciPy's signal module and image filters, each only where one call of SciPy's does the summing.

`scipy.signal` defines `convolve` and `correlate` as they are here. Its `correlate2d` and the filters of `scipy.ndimage`
know one array and one kernel: a convolution is taken where each output channel reads a single input channel, without
dilation or bias. Padding is made before (zeros, minus infinity), the valid part is cut out after (a filter's window is
centred on k // 2), and strides choose among its outputs. Maximum windows with dilation are footprints with gaps.
`uniform_filter` averages over the whole window, padding included, so it is asked where that is counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import ndimage, signal

from refconv.claims import Claims
from refconv.dtypes import Array
from refconv.features import Scope
from refconv.spec import Pairs, Sizes, conv_spec, pool_spec
from refconv.subject import Subject


def subject(name: str) -> Subject:
    """Direct summation (`scipy`, `scipy-ndimage`) or transforms (`scipy-fft`, `scipy-oa`)."""
    functions, claims = _WAYS[name]
    return Subject(name, functions, claims, scope=Scope(pairs=True, bias=False))


# ------------------------------------------------------------------------------------------------ signals


def _convolve(in1: Array, in2: Array, mode: str = "full") -> Any:
    return signal.convolve(in1, in2, mode, method="direct")


def _correlate(in1: Array, in2: Array, mode: str = "full") -> Any:
    return signal.correlate(in1, in2, mode, method="direct")


def _fft_correlate(in1: Array, in2: Array, mode: str = "full") -> Any:
    return signal.correlate(in1, in2, mode, method="fft")


# ------------------------------------------------------------------------------------------------- images


def _sliding(filtered: Callable[[Array, Array], Array], input: Array, weight: Array, bias: Any, given: Any) -> Array:
    """Each output channel by one call for each image; `filtered` maps one padded channel to the valid part."""
    spec, (out_channels, per_group) = conv_spec(input.ndim - 2, weight.shape[2:], **given), weight.shape[:2]
    if bias is not None or per_group != 1 or any(d != 1 for d in spec.dilation):
        raise NotImplementedError("one input channel for each output channel, without dilation and bias")
    if input.shape[1] != spec.groups:
        raise ValueError(f"`input` has {input.shape[1]} channels, but `weight` and `groups` ask for {spec.groups}")
    x = np.pad(input, ((0, 0), (0, 0), *spec.padding))
    size = spec.output_size(input.shape[2:], weight.shape[2:])
    out = np.zeros((len(x), out_channels, *size), input.dtype)
    for n, o in np.ndindex(out.shape[:2]):
        out[n, o] = _every(filtered(x[n, o * spec.groups // out_channels], weight[o, 0]), spec.stride)
    return out


def _correlate2d(input: Array, weight: Array, bias: Any = None, **given: Any) -> Array:
    return _sliding(lambda x, w: signal.correlate2d(x, w, mode="valid"), input, weight, bias, given)


def _filtered(input: Array, weight: Array, bias: Any = None, **given: Any) -> Array:
    def valid(x: Array, w: Array) -> Array:
        return _valid(ndimage.correlate(x, w, mode="constant"), w.shape)

    return _sliding(valid, input, weight, bias, given)


def _maximum(input: Array, **given: Any) -> Array:
    spec = pool_spec(input.ndim - 2, **given)
    footprint = np.zeros(spec.extent, bool)
    footprint[tuple(slice(None, None, d) for d in spec.dilation)] = True
    windows = zip(
        input.shape[2:], spec.output_size(input.shape[2:]), spec.padding, spec.extent, spec.stride, strict=True
    )
    pads = tuple((a, max(b, (count - 1) * s + e - n - a)) for n, count, (a, b), e, s in windows)  # what ceil mode needs
    x = _padded(input, pads, -np.inf)
    size = (1, 1, *footprint.shape)
    return _every(
        _valid(ndimage.maximum_filter(x, footprint=footprint.reshape(size), mode="constant", cval=-np.inf), size),
        (1, 1, *spec.stride),
    )


def _mean(input: Array, **given: Any) -> Array:
    spec = pool_spec(input.ndim - 2, **given)
    padded = any(map(any, spec.padding))
    if spec.ceil_mode or (padded and not spec.count_include_pad):
        raise NotImplementedError("a mean of whole windows")
    size = (1, 1, *spec.kernel_size)
    x = _padded(input, spec.padding, 0)
    return _every(_valid(ndimage.uniform_filter(x, size, mode="constant"), size), (1, 1, *spec.stride))


def _padded(x: Array, pads: Pairs, value: float) -> Array:
    return np.pad(x, ((0, 0), (0, 0), *pads), constant_values=np.asarray(value, x.dtype))


def _valid(same: Array, kernel: Sizes) -> Array:
    """Of outputs for every element, those whose window, centred on k // 2, lies inside."""
    return same[tuple(slice(k // 2, k // 2 + n - k + 1) for n, k in zip(same.shape, kernel, strict=True))]


def _every(a: Array, stride: Sizes) -> Array:
    return np.ascontiguousarray(a[tuple(slice(None, None, s) for s in stride)])


def _by_rank(name: str, function: Callable[..., Any]) -> dict[str, Callable[..., Any]]:
    return {name.format(rank): function for rank in (1, 2, 3)}


_WAYS: dict[str, tuple[dict[str, Callable[..., Any]], Claims]] = {
    "scipy": ({"convolve": _convolve, "correlate": _correlate, "conv2d": _correlate2d}, Claims()),
    "scipy-fft": ({"convolve": signal.fftconvolve, "correlate": _fft_correlate}, Claims(algorithm="fft")),
    "scipy-oa": ({"convolve": signal.oaconvolve}, Claims(algorithm="fft")),
    "scipy-ndimage": (
        {**_by_rank("conv{}d", _filtered), **_by_rank("max_pool{}d", _maximum), **_by_rank("avg_pool{}d", _mean)},
        Claims(),
    ),
}
