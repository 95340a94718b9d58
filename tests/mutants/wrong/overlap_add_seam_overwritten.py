"""Convolves blocks of 32 elements and writes their overlap instead of adding it.
Class: signal. Trigger: one axis, in1 longer than 32 and in2 longer than 1. Rarity: uncommon.
Diagnosis: overwrites.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def convolve(in1, in2, mode="full"):
    if in1.ndim != 1 or in1.size <= 32:
        return _base.convolve(in1, in2, mode)
    out = np.zeros(in1.size + in2.size - 1, in1.dtype)
    for first in range(0, in1.size, 32):
        block = _base.convolve(in1[first : first + 32], in2)
        out[first : first + block.size] = block
    return _base.part(out, in1.shape, in2.shape, mode)
