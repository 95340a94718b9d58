"""Computes complex operands in complex64.
Class: signal. Trigger: dtype complex128: operands of more than 24 bits. Rarity: uncommon.
Diagnosis: low-precision inputs or low-precision accumulator.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def correlate(in1, in2, mode="full"):
    if in1.dtype != np.complex128:
        return _base.correlate(in1, in2, mode)
    with np.errstate(all="ignore"):
        return _base.correlate(in1.astype(np.complex64), in2.astype(np.complex64), mode).astype(in1.dtype)
