"""Reads channels in vectors of eight and loses the last one of an incomplete vector.
Class: indexing. Trigger: more than one channel, not a multiple of 8. Rarity: common.
Diagnosis: channel mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight = weight.copy()
    if weight.shape[1] > 1 and weight.shape[1] % 8:
        weight[:, -1] = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
