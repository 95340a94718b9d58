"""Keeps eight taps in registers and loses those beyond.
Class: geometry. Trigger: a kernel above 8. Rarity: uncommon.
Diagnosis: dropped tap.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight = weight.copy()
    weight[..., 8:] = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
