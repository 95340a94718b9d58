"""Crops the padding of both sides from the left.
Class: geometry. Trigger: a padding. Rarity: uncommon.
Diagnosis: border or halo or shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    borders = tuple((a + b, 0) for a, b in _base.pairs(padding, 2))
    return _base.conv_transpose(input, weight, bias, stride, borders, output_padding, groups, dilation)
