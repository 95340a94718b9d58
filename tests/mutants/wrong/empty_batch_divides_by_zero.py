"""Divides its work by the number of images.
Class: geometry. Trigger: an empty batch. Rarity: common.
Diagnosis: raises.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    share = 65536 // len(input)
    parts = [input[n : n + share] for n in range(0, len(input), share)]
    return np.concatenate([_base.conv(part, weight, bias, stride, padding, dilation, groups) for part in parts])
