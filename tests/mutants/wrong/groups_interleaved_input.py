"""Deals the input channels out to the groups one by one.
Class: groups. Trigger: groups with more than 1 input channel each. Rarity: common.
Diagnosis: group mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    _base.split(input.shape[1], groups)
    batch, channels, *size = input.shape
    input = input.reshape(batch, channels // groups, groups, *size).swapaxes(1, 2).reshape(input.shape)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
