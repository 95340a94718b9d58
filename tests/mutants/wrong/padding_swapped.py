"""Pads the height by the width's padding and the other way round.
Class: geometry. Trigger: two different paddings. Rarity: common.
Diagnosis: wrong axis.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if isinstance(padding, tuple):
        padding = padding[::-1]
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
