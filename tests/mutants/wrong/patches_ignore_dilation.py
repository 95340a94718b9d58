"""Cuts the image into patches where stride and kernel are the same, whatever the dilation.
Class: geometry. Trigger: a stride equal to the kernel and a dilation above 1. Rarity: rare.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel = weight.shape[2:]
    if _base.per_axis(stride, 2) != kernel:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    size = _base.unfold(input, kernel, stride, padding, dilation).shape[2:4]
    borders = _base.pairs(padding, 2, kernel, dilation, stride)
    return _base.conv(input, weight, bias, stride, borders, 1, groups)[:, :, : size[0], : size[1]]
