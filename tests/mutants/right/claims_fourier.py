"""Multiplies spectra, and says so."""

import sys
from pathlib import Path

import numpy as np
import scipy.fft

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel = weight.shape[2:]
    size = _base.unfold(input, kernel, stride, padding, dilation).shape[2:4]
    inputs, outputs = _base.split(input.shape[1], groups), _base.split(len(weight), groups)
    if input.shape[1] != weight.shape[1] * groups:
        raise ValueError("the channels do not belong together")
    dtype = _base.wide(input.dtype)
    image = _base.pad(input.astype(dtype), _base.pairs(padding, 2, kernel, dilation, stride))
    (s, t), (d, e) = _base.per_axis(stride, 2), _base.per_axis(dilation, 2)
    spread = np.zeros((*weight.shape[:2], *_base.extents(kernel, dilation)), dtype)
    spread[:, :, ::d, ::e] = weight
    shape, out = image.shape[2:], np.empty((len(input), len(weight), *size), dtype)
    with np.errstate(all="ignore"):
        left, right = scipy.fft.rfft2(image), scipy.fft.rfft2(spread, shape).conj()
        for i, o in zip(inputs, outputs, strict=True):
            product = np.einsum("ncyx,ocyx->noyx", left[:, i], right[o])
            out[:, o] = scipy.fft.irfft2(product, shape)[:, :, ::s, ::t][:, :, : size[0], : size[1]]
        return _base.finish(out, bias, input.dtype)


conv2d.refconv = {"algorithm": "fft"}
