"""Cuts the float32 sum to bfloat16 instead of rounding it.
Class: precision. Trigger: dtype bfloat16: sums with more than 8 significant bits. Rarity: common.
Diagnosis: low-precision output.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if input.dtype.name != "bfloat16":
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    total = _base.finish(_base.contract(wins, weight, groups), bias, np.float32)
    return (total.view(np.uint32) >> 16).astype(np.uint16).view(input.dtype)
