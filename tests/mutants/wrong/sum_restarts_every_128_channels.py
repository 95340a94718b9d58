"""Clears the accumulator before every block of 128 channels, so that only the last block counts.
Class: indexing. Trigger: more than 128 channels in a group. Rarity: rare.
Diagnosis: channel mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight, channels = weight.copy(), weight.shape[1]
    weight[:, : (channels - 1) // 128 * 128] = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
