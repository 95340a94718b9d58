"""Multiplies by a reciprocal of the window's size that is rounded to float16.
Class: precision. Trigger: a window whose size is no power of two. Rarity: uncommon.
Diagnosis: low-precision inputs or low-precision accumulator.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    cells = float(np.prod(_base.per_axis(kernel_size, 2, "kernel_size")))
    out = _base.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    return (out * (cells * float(np.float16(1 / cells)))).astype(input.dtype)
