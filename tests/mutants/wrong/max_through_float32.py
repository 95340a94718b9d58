"""Compares in float32, whatever the dtype.
Class: pooling. Trigger: dtype float64: values that float32 cannot hold. Rarity: uncommon.
Diagnosis: low-precision inputs or low-precision output.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    dtype, input = input.dtype, input.astype(np.float32)
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode).astype(dtype)
