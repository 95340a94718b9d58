"""Multiplies by the processor's estimate of a reciprocal, which has twelve bits.
Class: precision. Trigger: a window whose size is no power of two. Rarity: uncommon.
Diagnosis: low-precision inputs or low-precision accumulator.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool3d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    cells = float(np.prod(_base.per_axis(kernel_size, 3, "kernel_size")))
    mantissa, exponent = np.frexp(1 / cells)
    estimate = np.ldexp(np.round(mantissa * 4096) / 4096, exponent)
    out = _base.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    return (out * (cells * estimate)).astype(input.dtype)
