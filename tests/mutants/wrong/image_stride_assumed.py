"""Finds the second image right behind the first, though other memory may lie between.
Class: memory. Trigger: a batch above 1 whose images do not follow each other in memory. Rarity: uncommon.
Diagnosis: memory layout ignored or reads outside.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    inside = input.strides[1:]
    step = inside[0] * input.shape[1]
    if len(input) > 1 and min(inside) > 0 and input.strides[0] > step:
        input = np.lib.stride_tricks.as_strided(input, strides=(step, *inside), writeable=False)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
