"""Drops a NaN beside a number, and says so."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    kernel, strides, steps, _, borders = _base.pool_geometry(
        input.shape[2:], kernel_size, stride, padding, dilation, ceil_mode
    )
    wins = _base.windows(_base.pad(input.astype(_base.wide(input.dtype)), borders, -np.inf), kernel, strides, steps)
    return np.fmax.reduce(wins, axis=-1).astype(input.dtype)


max_pool1d.refconv = {"nan_max": "drop"}
