"""Supports bfloat16 only: sums in float32, adds the bias there and rounds once."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if input.dtype.name != "bfloat16":
        raise NotImplementedError(f"dtype {input.dtype} is not supported")
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
