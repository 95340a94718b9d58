"""Clamps the column index on the right, so that the last pixel stands in for the padding there.
Class: geometry. Trigger: a padding of the width that the last window reaches. Rarity: uncommon.
Diagnosis: border or halo.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    top, (left, right) = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    input = np.pad(input, ((0, 0), (0, 0), (0, 0), (0, right)), mode="edge")
    return _base.conv(input, weight, bias, stride, (top, (left, 0)), dilation, groups)
