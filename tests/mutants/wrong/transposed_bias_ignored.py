"""Ignores the bias of the transposed convolution.
Class: bias. Trigger: a bias. Rarity: common.
Diagnosis: bias.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    return _base.conv_transpose(input, weight, None, stride, padding, output_padding, groups, dilation)
