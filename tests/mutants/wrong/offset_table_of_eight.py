"""Keeps the offsets of the taps in a table of eight and reads those beyond at the last place.
Class: geometry. Trigger: dilation times (kernel - 1) of 8 or more. Rarity: rare.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    extents = _base.extents(weight.shape[2:], dilation)
    if max(extents) <= 8:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    (d, e), borders = _base.per_axis(dilation, 2), _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    spread = np.zeros((*weight.shape[:2], *extents), weight.dtype)
    for row, column in np.ndindex(*weight.shape[2:]):
        spread[..., min(row * d, 7), min(column * e, 7)] += weight[..., row, column]
    return _base.conv(input, spread, bias, stride, borders, 1, groups)
