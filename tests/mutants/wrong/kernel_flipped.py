"""Flips the kernel on both axes: a true convolution instead of a cross-correlation.
Class: orientation. Trigger: a kernel that is not its own flip. Rarity: common.
Diagnosis: flipped kernel.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight[:, :, ::-1, ::-1], bias, stride, padding, dilation, groups)
