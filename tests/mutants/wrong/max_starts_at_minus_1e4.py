"""Starts the search for the maximum at -10000.
Class: pooling. Trigger: a window of values below -10000. Rarity: rare.
Diagnosis: pooling rule.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    return np.maximum(out, np.array(-1e4, out.dtype))
