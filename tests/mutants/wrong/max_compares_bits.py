"""Compares the bits of floating-point numbers as signed integers.
Class: pooling. Trigger: a window of different negative numbers only. Rarity: uncommon.
Diagnosis: pooling rule.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if input.dtype not in (np.float32, np.float64):
        return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    bits = input.view(f"i{input.itemsize}") if input.flags.c_contiguous else input.copy("C").view(f"i{input.itemsize}")
    kernel, strides, steps, _, borders = _base.pool_geometry(
        input.shape[2:], kernel_size, stride, padding, dilation, ceil_mode
    )
    wins = _base.windows(_base.pad(bits, borders, np.iinfo(bits.dtype).min), kernel, strides, steps)
    return wins.max((4, 5)).view(input.dtype)
