"""Multiplies spectra where the result has more than 32 elements along some axis, without saying so.
Class: precision. Trigger: more than 32 elements along an axis of the full result. Rarity: uncommon.
Diagnosis: transform.
"""

import sys
from pathlib import Path

import numpy as np
import scipy.signal

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def convolve(in1, in2, mode="full"):
    sizes = [n + m - 1 for n, m in zip(in1.shape, in2.shape, strict=True)]
    if max(sizes) <= 32 or in1.dtype.itemsize < 4:
        return _base.convolve(in1, in2, mode)
    with np.errstate(all="ignore"):
        return _base.part(scipy.signal.fftconvolve(in1, in2), in1.shape, in2.shape, mode).astype(in1.dtype)
