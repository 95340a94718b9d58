"""Handles sixteen depth slices and leaves those beyond at the lowest number.
Class: pooling. Trigger: an output depth above 16. Rarity: rare.
Diagnosis: unwritten part.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    out[:, :, 16:] = np.finfo(np.float32).min
    return out
