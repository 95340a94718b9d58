"""Correlates instead of convolving.
Class: signal. Trigger: an in2 that is not its own flip. Rarity: common.
Diagnosis: flipped kernel.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def convolve(in1, in2, mode="full"):
    return _base.convolve(in1, _base.reverse(in2), mode)
