"""Multiplies by a reciprocal in float32, whatever the dtype.
Class: precision. Trigger: dtype float64: a window whose size is no power of two. Rarity: uncommon.
Diagnosis: low-precision inputs or low-precision accumulator.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    (cells,) = _base.per_axis(kernel_size, 1, "kernel_size")
    out = _base.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    return (out * (cells * float(np.float32(1 / cells)))).astype(input.dtype) if out.dtype == float else out
