"""Compares with `>` and so never takes a NaN.
Class: pooling. Trigger: a NaN in a window. Rarity: uncommon.
Diagnosis: NaN handling.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    input = np.where(np.isnan(input), -np.inf, input).astype(input.dtype)
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
