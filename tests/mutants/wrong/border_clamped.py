"""Repeats the edge pixels in the padding instead of zeros.
Class: geometry. Trigger: a padding. Rarity: common.
Diagnosis: border or halo.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    input = np.pad(input, ((0, 0), (0, 0), *borders), mode="edge")
    return _base.conv(input, weight, bias, stride, 0, dilation, groups)
