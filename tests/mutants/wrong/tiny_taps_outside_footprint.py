"""Leaves a routine to filter the planes that takes weights below 2.2e-16 for no part of the kernel.
Class: precision. Trigger: weights below 2.2e-16. Rarity: rare.
Diagnosis: flush to zero or dropped tap.
"""

import sys
from pathlib import Path

import numpy as np
import scipy.ndimage

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    if groups != 1 or input.shape[1] != weight.shape[1] or not np.isfinite(weight.astype(float)).all():
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    image = _base.pad(input.astype(wins.dtype), _base.pairs(padding, 2, weight.shape[2:], dilation, stride))
    (s, t), (d, e) = _base.per_axis(stride, 2), _base.per_axis(dilation, 2)
    spread = np.zeros((*weight.shape[:2], *_base.extents(weight.shape[2:], dilation)), wins.dtype)
    spread[:, :, ::d, ::e] = weight
    out = np.zeros((len(input), len(weight), *wins.shape[2:4]), wins.dtype)
    start = [n // 2 for n in spread.shape[2:]]
    for n, o, c in np.ndindex(len(input), *weight.shape[:2]):
        plane = scipy.ndimage.correlate(image[n, c], spread[o, c], mode="constant")[start[0] :: s, start[1] :: t]
        out[n, o] += plane[: out.shape[2], : out.shape[3]]
    return _base.finish(out, bias, input.dtype)
