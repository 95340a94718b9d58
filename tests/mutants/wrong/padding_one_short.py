"""Forgets the last padding row at the bottom, so that the output loses a row.
Class: geometry. Trigger: a padding of the height and no remainder. Rarity: common.
Diagnosis: output size rule or border or halo.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    (above, below), side = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    padding = ((above, max(below - 1, 0)), side)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
