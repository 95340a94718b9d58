"""Clears the accumulator before every block of 64 channels, so that only the last block counts.
Class: indexing. Trigger: more than 64 channels in a group. Rarity: rare.
Diagnosis: channel mix-up.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    weight, channels = weight.copy(), len(weight) // groups
    lost = np.arange(len(weight)) % channels < (channels - 1) // 64 * 64
    weight[lost] = 0
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
