"""Masks the number of the group with 31, so that groups beyond the 32nd use the weight of the first ones.
Class: groups. Trigger: more than 32 groups. Rarity: rare.
Diagnosis: group mix-up.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    size = max(1, len(weight) // groups)
    index = np.arange(len(weight))
    return _base.conv(input, weight[index // size % 32 * size + index % size], bias, stride, padding, dilation, groups)
