"""Returns the absolute value of the sum.
Class: precision. Trigger: a negative output. Rarity: common.
Diagnosis: sign.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return abs(_base.conv(input, weight, bias, stride, padding, dilation, groups))
