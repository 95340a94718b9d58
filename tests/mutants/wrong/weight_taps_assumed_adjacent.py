"""Reads the taps of the weight as neighbours in memory, whatever the stride of the last axis.
Class: memory. Trigger: a transposed or strided weight. Rarity: uncommon.
Diagnosis: memory layout ignored.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    steps = weight.strides
    if steps[-1] > weight.itemsize:
        weight = np.lib.stride_tricks.as_strided(weight, strides=(*steps[:-1], weight.itemsize), writeable=False)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
