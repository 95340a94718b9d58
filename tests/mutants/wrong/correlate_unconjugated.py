"""Correlates complex operands without conjugating in2.
Class: signal. Trigger: dtype complex128: always. Rarity: rare.
Diagnosis: conjugation.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def correlate(in1, in2, mode="full"):
    return _base.convolve(in1, _base.reverse(in2), mode)
