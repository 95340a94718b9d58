"""Clips the bias at zero.
Class: bias. Trigger: a negative bias. Rarity: common.
Diagnosis: bias.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    bias = bias if bias is None else np.where(bias < 0, np.zeros_like(bias), bias)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
