"""Computes in the widest format that the machine has."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation).astype(np.longdouble)
    with np.errstate(all="ignore"):
        return _base.finish(_base.contract(wins, weight, groups), bias, input.dtype)


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    arguments = (kernel_size, stride, padding, ceil_mode, count_include_pad)
    return _base.avg_pool(input.astype(np.longdouble), *arguments).astype(input.dtype)
