"""Reads input channel o % C instead of o // multiplier in a depthwise convolution.
Class: groups. Trigger: depthwise with a multiplier above 1. Rarity: common.
Diagnosis: group mix-up or channel mix-up.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if groups > 1 and groups == input.shape[1] and len(weight) % groups == 0:
        input = input[:, np.arange(len(weight)) % groups]
        groups = len(weight)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
