"""Starts the search at the smallest positive number, taken for the most negative.
Class: pooling. Trigger: a window without positive values. Rarity: common.
Diagnosis: pooling rule.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    return np.maximum(out, np.array(np.finfo(np.float32).tiny, out.dtype))
