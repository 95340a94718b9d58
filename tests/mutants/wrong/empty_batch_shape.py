"""Gives a result without spatial axes for an empty batch.
Class: geometry. Trigger: batch 0. Rarity: rare.
Diagnosis: output size rule.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if len(input) == 0:
        return np.zeros((0, weight.shape[0], 0, 0), input.dtype)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
