"""Adds the bias to the first depth slice only.
Class: bias. Trigger: a bias and a depth above 1. Rarity: uncommon.
Diagnosis: bias.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, None, stride, padding, dilation, groups)
    if bias is not None:
        out[:, :, :1] = _base.conv(input, weight, bias, stride, padding, dilation, groups)[:, :, :1]
    return out
