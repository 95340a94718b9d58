"""Loops over the height of the kernel on both axes.
Class: indexing. Trigger: a kernel wider than it is high. Rarity: common.
Diagnosis: wrong axis or dropped tap.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight = weight.copy()
    weight[..., weight.shape[2] :] = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
