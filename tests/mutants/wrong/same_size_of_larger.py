"""Gives mode "same" the size of the larger operand.
Class: signal. Trigger: mode "same" with in2 larger than in1. Rarity: uncommon.
Diagnosis: output size rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def convolve(in1, in2, mode="full"):
    if mode == "same" and in1.size < in2.size:
        in1, in2 = in2, in1
    return _base.convolve(in1, in2, mode)
