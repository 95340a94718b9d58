"""Computes integral operands in integer arithmetic."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    whole = all((a == np.trunc(a)).all() and (abs(a) < 2**20).all() for a in (wins, weight))
    if not whole or weight[0].size >= 2**20:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    total = _base.contract(wins.astype(np.int64), weight, groups)
    return _base.finish(total.astype(np.float64), bias, input.dtype)
