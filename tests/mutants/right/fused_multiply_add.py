"""Rounds each multiply-add once, as an FMA does."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins, total = _base.unfold(input, weight.shape[2:], stride, padding, dilation), 0
    wider = wins.astype(np.longdouble if wins.dtype == np.float64 else np.float64)
    for term in _base.products(wider, weight, groups):
        total = (total + term).astype(wins.dtype)
    return _base.finish(total, bias, input.dtype)
