"""Gives NaN where the sum is zero.
Class: precision. Trigger: an output that is exactly zero. Rarity: uncommon.
Diagnosis: NaN handling.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    out[out == 0] = float("nan")
    return out
