"""Takes square images and kernels only."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    for rows, columns in (input.shape[2:], weight.shape[2:]):
        if rows != columns:
            raise ValueError(f"{rows} x {columns} is not square")
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
