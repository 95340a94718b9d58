"""Splits the channels in three partial sums in the operands' dtype and adds them."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if groups != 1:
        raise NotImplementedError("no groups")
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    if wins.shape[1] != weight.shape[1]:
        raise ValueError("the channels of input and weight differ")
    parts = np.array_split(np.arange(weight.shape[1]), 3)
    total = sum(_base.contract(wins[:, part], weight[:, part]) for part in parts)
    return _base.finish(total, bias, input.dtype)
