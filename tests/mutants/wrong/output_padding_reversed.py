"""Reads the output padding from the last axis to the first.
Class: geometry. Trigger: different output paddings. Rarity: uncommon.
Diagnosis: wrong axis.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    if isinstance(output_padding, tuple):
        output_padding = output_padding[::-1]
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
