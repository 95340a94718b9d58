"""Pads the depth by the padding of the width.
Class: geometry. Trigger: different paddings of depth and width. Rarity: common.
Diagnosis: wrong axis.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    borders = _base.pairs(padding, 3, weight.shape[2:], dilation, stride)
    return _base.conv(input, weight, bias, stride, (borders[2], *borders[1:]), dilation, groups)
