"""Swaps the first two taps of the first channel.
Class: indexing. Trigger: a kernel wider than 1. Rarity: common.
Diagnosis: swapped taps.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight = weight.copy()
    weight[:, 0, 0, :2] = weight[:, 0, 0, :2][:, ::-1].copy()
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
