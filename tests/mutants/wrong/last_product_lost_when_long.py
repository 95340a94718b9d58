"""Leaves out the last product of every sum of 4608 or more.
Class: indexing. Trigger: a reduction of 4608 or more terms. Rarity: rare.
Diagnosis: dropped tap.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight = weight.copy()
    if weight[0].size >= 4608:
        weight[:, -1, -1, -1] = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
