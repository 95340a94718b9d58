"""Starts from the first element and goes on with `>`, so that a NaN counts only where it comes first.
Class: pooling. Trigger: a NaN that is not the first element of its window. Rarity: uncommon.
Diagnosis: NaN handling.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    size = input.shape[2:]
    kernel, strides, steps, _, borders = _base.pool_geometry(size, kernel_size, stride, padding, dilation, ceil_mode)
    wins = _base.windows(_base.pad(input.astype(_base.wide(input.dtype)), borders, -np.inf), kernel, strides, steps)
    best = wins[..., 0].copy()
    for tap in range(1, kernel[0]):
        best = np.where(wins[..., tap] > best, wins[..., tap], best)
    return best.astype(input.dtype)
