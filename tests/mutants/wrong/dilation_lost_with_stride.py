"""Ignores the dilation of the taps as soon as there is a stride.
Class: geometry. Trigger: a dilation and a stride, both above 1. Rarity: uncommon.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    size = _base.unfold(input, weight.shape[2:], stride, padding, dilation).shape[2:5]
    borders = _base.pairs(padding, 3, weight.shape[2:], dilation, stride)
    if max(_base.per_axis(stride, 3)) > 1:
        dilation = 1
    wins = _base.unfold(input, weight.shape[2:], stride, borders, dilation)
    wins = wins[:, :, : size[0], : size[1], : size[2]]
    return _base.finish(_base.contract(wins, weight, groups), bias, input.dtype)
