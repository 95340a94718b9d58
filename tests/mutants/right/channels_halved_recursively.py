"""Halves the channels until one is left and adds up the halves."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def recursive(wins, weight):
    channels = weight.shape[1]
    if channels < 2:
        return _base.contract(wins, weight)
    half = channels // 2
    return recursive(wins[:, :half], weight[:, :half]) + recursive(wins[:, half:], weight[:, half:])


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if groups != 1 or input.shape[1] != weight.shape[1]:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    with np.errstate(all="ignore"):
        return _base.finish(recursive(wins, weight), bias, input.dtype)
