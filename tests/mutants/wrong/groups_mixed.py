"""Writes the output channels of the groups interleaved.
Class: groups. Trigger: groups with more than 1 output channel each. Rarity: common.
Diagnosis: group mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    batch, channels, *size = out.shape
    return out.reshape(batch, groups, channels // groups, *size).swapaxes(1, 2).reshape(out.shape)
