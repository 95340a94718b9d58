"""Takes the element of the largest magnitude.
Class: pooling. Trigger: a negative number of a larger magnitude than the maximum. Rarity: uncommon.
Diagnosis: sign or pooling rule.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    high = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    low = -_base.max_pool(-input, kernel_size, stride, padding, dilation, ceil_mode)
    return np.where(-low > abs(high), np.where(np.isinf(low), high, low), high).astype(input.dtype)
