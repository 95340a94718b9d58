"""Remembers which cells a window reads, but neither operands nor results."""

import sys
from functools import cache
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


@cache
def cells(size, kernel, stride, before, after, dilation):
    count = (size + before + after - dilation * (kernel - 1) - 1) // stride + 1
    if count < 1:
        raise ValueError("the kernel is larger than the padded input")
    return np.arange(count)[:, None] * stride + np.arange(kernel) * dilation


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel = weight.shape[2:]
    if input.ndim != 3:
        raise ValueError("the input must have three axes")
    borders = _base.pairs(padding, 1, kernel, dilation, stride)
    steps = _base.per_axis(stride, 1), _base.per_axis(dilation, 1)
    index = cells(input.shape[2], *kernel, *steps[0], *borders[0], *steps[1])
    wins = _base.pad(input.astype(_base.wide(input.dtype)), borders)[:, :, index]
    with np.errstate(all="ignore"):
        return _base.finish(_base.contract(wins, weight, groups), bias, input.dtype)
