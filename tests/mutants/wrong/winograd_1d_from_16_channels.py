"""Computes kernels of length 3 by Winograd's F(2, 3) from sixteen channels on, without saying so.
Class: precision. Trigger: a kernel of 3, stride 1, dilation 1, no groups, at least 16 channels. Rarity: rare.
Diagnosis: transform.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    size = _base.unfold(input, weight.shape[2:], stride, padding, dilation).shape[2]
    steps = (*_base.per_axis(stride, 1), *_base.per_axis(dilation, 1))
    if weight.shape[2] != 3 or steps != (1, 1) or groups != 1 or weight.shape[1] < 16:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    ((before, after),) = _base.pairs(padding, 1, (3,), dilation, stride)
    a, b, c, d = np.moveaxis(_base.unfold(input, (4,), 2, ((before, after + size % 2),)), -1, 0)
    f, g, h = np.moveaxis(weight.astype(a.dtype), -1, 0)
    tiles, kernels = (a - c, b + c, c - b, b - d), (f, (f + g + h) / 2, (f - g + h) / 2, h)
    with np.errstate(all="ignore"):
        p, q, r, s = (np.einsum("nct,oc->not", t, k) for t, k in zip(tiles, kernels, strict=True))
        out = np.stack([p + q + r, q - r - s], axis=-1)
    return _base.finish(out.reshape(*out.shape[:2], -1)[..., :size], bias, input.dtype)
