"""The depthwise path reads neighbouring taps, whatever the dilation.
Class: groups. Trigger: depthwise with a dilation. Rarity: uncommon.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    size = _base.unfold(input, weight.shape[2:], stride, padding, dilation).shape[2:4]
    borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    if groups == input.shape[1] and groups > 1:
        dilation = 1
    wins = _base.unfold(input, weight.shape[2:], stride, borders, dilation)
    return _base.finish(_base.contract(wins[:, :, : size[0], : size[1]], weight, groups), bias, input.dtype)
