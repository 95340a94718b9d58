"""Multiplies spectra in the operands' dtype without saying so.
Class: precision. Trigger: large and small values in one array, or windows of zeros. Rarity: common.
Diagnosis: transform.
"""

import sys
from pathlib import Path

import numpy as np
import scipy.fft

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel = weight.shape[2:]
    size = _base.unfold(input, weight.shape[2:], stride, padding, dilation).shape[2:4]
    if groups != 1 or input.dtype.itemsize < 4:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    image = _base.pad(input, _base.pairs(padding, 2, kernel, dilation, stride))
    (s, t), (d, e) = _base.per_axis(stride, 2), _base.per_axis(dilation, 2)
    spread = np.zeros((*weight.shape[:2], *_base.extents(kernel, dilation)), weight.dtype)
    spread[:, :, ::d, ::e] = weight
    shape = image.shape[2:]
    spectrum = np.einsum("ncyx,ocyx->noyx", scipy.fft.rfft2(image), scipy.fft.rfft2(spread, shape).conj())
    out = scipy.fft.irfft2(spectrum, shape)[:, :, ::s, ::t][:, :, : size[0], : size[1]]
    return _base.finish(out, bias, input.dtype)
