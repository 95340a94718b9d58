"""Reads the input channels in reversed order, as BGR for RGB.
Class: indexing. Trigger: at least 2 channels in a group. Rarity: common.
Diagnosis: channel mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight[:, ::-1], bias, stride, padding, dilation, groups)
