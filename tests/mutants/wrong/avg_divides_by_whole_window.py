"""Divides by the whole window also where ceil mode lets it stick out.
Class: pooling. Trigger: ceil_mode with a window beyond the padding. Rarity: uncommon.
Diagnosis: pooling rule.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    out = _base.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    size = input.shape[2:]
    kernel, strides, _, counts, _ = _base.pool_geometry(size, kernel_size, stride, padding, 1, ceil_mode)
    if not count_include_pad:
        return out
    return (out * _base.divisors(size, kernel, strides, padding, counts) / np.prod(kernel)).astype(input.dtype)
