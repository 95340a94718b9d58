"""Copies the windows into a matrix and multiplies matrices."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    if weight.shape[1] * groups != input.shape[1] or len(weight) % groups:
        raise ValueError("the channels do not fit the groups")
    batch, _, height, width, *kernel = wins.shape
    taps, pixels = weight[0].size, height * width
    columns = wins.reshape(batch, groups, weight.shape[1], height, width, *kernel).transpose(0, 1, 2, 5, 6, 3, 4)
    rows = weight.astype(wins.dtype).reshape(groups, len(weight) // groups, taps)
    out = rows @ columns.reshape(batch, groups, taps, pixels)
    return _base.finish(out.reshape(batch, len(weight), height, width), bias, input.dtype)
