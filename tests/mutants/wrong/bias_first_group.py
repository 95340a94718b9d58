"""Adds the bias to the first group only.
Class: bias. Trigger: a bias and groups. Rarity: uncommon.
Diagnosis: bias.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if bias is not None:
        bias = bias.copy()
        bias[len(bias) // groups :] = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
