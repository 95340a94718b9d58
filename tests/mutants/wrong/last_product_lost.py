"""Leaves out the last product of every sum.
Class: indexing. Trigger: always. Rarity: common.
Diagnosis: dropped tap.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight = weight.copy()
    weight[:, -1, -1, -1, -1] = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
