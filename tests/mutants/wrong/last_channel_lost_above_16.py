"""Loses the last channel when there are more than sixteen.
Class: indexing. Trigger: more than 16 channels in a group. Rarity: uncommon.
Diagnosis: channel mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight = weight.copy()
    if weight.shape[1] > 16:
        weight[:, -1] = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
