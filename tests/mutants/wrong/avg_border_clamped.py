"""Averages over repeated edge pixels in the padding.
Class: pooling. Trigger: a padding. Rarity: uncommon.
Diagnosis: border or halo.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    out = _base.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    if ceil_mode or not count_include_pad:
        return out
    borders = _base.pairs(padding, 3)
    stride = kernel_size if stride is None else stride
    return _base.avg_pool(np.pad(input, ((0, 0), (0, 0), *borders), mode="edge"), kernel_size, stride)
