"""Adds the bias only where some tap reaches.
Class: bias. Trigger: a bias and a stride above the dilated kernel. Rarity: uncommon.
Diagnosis: bias.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    plain = _base.conv_transpose(input, weight, None, stride, padding, output_padding, groups, dilation)
    if bias is None:
        return plain
    ones = np.ones_like(input), np.ones_like(weight)
    reached = _base.conv_transpose(*ones, None, stride, padding, output_padding, groups, dilation) != 0
    out = _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return np.where(reached, out, plain)
