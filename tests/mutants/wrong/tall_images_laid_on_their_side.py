"""Lays images that are higher than wide on their side, but not the kernel.
Class: orientation. Trigger: a height above the width and a square kernel that is not symmetric. Rarity: uncommon.
Diagnosis: transposed kernel.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    rows, columns = weight.shape[2:]
    if input.shape[2] <= input.shape[3] or rows != columns:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    padding = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)[::-1]
    stride, dilation = (_base.per_axis(value, 2)[::-1] for value in (stride, dilation))
    return _base.conv(input.swapaxes(2, 3), weight, bias, stride, padding, dilation, groups).swapaxes(2, 3)
