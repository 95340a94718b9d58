"""Takes the padding from the opposite side, as a circular convolution does.
Class: geometry. Trigger: a padding. Rarity: common.
Diagnosis: border or halo.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    borders = _base.pairs(padding, 1, weight.shape[2:], dilation, stride)
    input = np.pad(input, ((0, 0), (0, 0), *borders), mode="wrap")
    return _base.conv(input, weight, bias, stride, 0, dilation, groups)
