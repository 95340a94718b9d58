"""Returns a view that runs backwards through its memory."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)[..., ::-1, ::-1].copy()[..., ::-1, ::-1]


def convolve(in1, in2, mode="full"):
    return _base.reverse(_base.reverse(_base.convolve(in1, in2, mode)).copy())
