"""Multiplies by a stride of 3 as `i << 1 | i`, which is a sum only where no bits meet.
Class: geometry. Trigger: a stride of 3 and at least 4 outputs. Rarity: rare.
Diagnosis: wrong axis or shifted.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if _base.per_axis(stride, 1) != (3,):
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    borders = _base.pairs(padding, 1, weight.shape[2:], dilation, stride)
    out = _base.conv(input, weight, bias, 1, borders, dilation, groups)
    index = np.arange((out.shape[2] - 1) // 3 + 1)
    return out[..., index << 1 | index]
