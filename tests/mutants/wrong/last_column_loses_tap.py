"""The last output column leaves out the last tap of every kernel row.
Class: indexing. Trigger: a kernel wider than 1. Rarity: uncommon.
Diagnosis: dropped tap.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation).copy()
    if weight.shape[3] > 1:
        wins[:, :, :, -1, :, -1] = 0
    return _base.finish(_base.contract(wins, weight, groups), bias, input.dtype)
