"""Puts all the padding on the left, as a causal convolution does.
Class: geometry. Trigger: a padding. Rarity: uncommon.
Diagnosis: border or halo or shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    ((before, after),) = _base.pairs(padding, 1, weight.shape[2:], dilation, stride)
    return _base.conv(input, weight, bias, stride, ((before + after, 0),), dilation, groups)
