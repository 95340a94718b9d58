"""Puts the larger operand first, which reverses the lags.
Class: signal. Trigger: in2 larger than in1. Rarity: uncommon.
Diagnosis: wrong axis or flipped kernel.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def correlate(in1, in2, mode="full"):
    if mode == "full" and in1.size < in2.size:
        in1, in2 = in2, in1
    return _base.correlate(in1, in2, mode)
