"""Convolves instead of correlating.
Class: signal. Trigger: an in2 that is not its own flip. Rarity: common.
Diagnosis: flipped kernel.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def correlate(in1, in2, mode="full"):
    return _base.convolve(in1, in2.conj(), mode)
