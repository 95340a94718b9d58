"""Averages by a depthwise convolution with ones and divides by the cells."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    size, channels = input.shape[2:], input.shape[1]
    kernel, strides, _, counts, borders = _base.pool_geometry(size, kernel_size, stride, padding, 1, ceil_mode)
    ones = np.ones((channels, 1, *kernel), _base.wide(input.dtype))
    sums = _base.conv(input.astype(ones.dtype), ones, None, strides, borders, 1, channels)
    cells = _base.divisors(size, kernel, strides, padding, counts, count_include_pad)
    with np.errstate(all="ignore"):
        return (sums[:, :, : counts[0], : counts[1]] / cells.astype(sums.dtype)).astype(input.dtype)
