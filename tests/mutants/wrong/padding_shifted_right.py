"""Puts one padding column too many on the left and one too few on the right.
Class: geometry. Trigger: a padding of the width. Rarity: common.
Diagnosis: shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    top, (left, right) = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    padding = (top, (left + 1, right - 1) if right else (left, right))
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
