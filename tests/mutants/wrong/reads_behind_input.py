"""Fills the right padding of the last row with what lies behind the input in memory.
Class: memory. Trigger: a padding and an operand inside a larger buffer that is not zero. Rarity: rare.
Diagnosis: reads outside.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    top, (left, right) = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    image = _base.pad(input, ((0, 0), (0, right)))
    if right and image.size:
        image[-1, -1, -1, -right:] = _base.behind(input, right)
    return _base.conv(image, weight, bias, stride, (top, (left, 0)), dilation, groups)
