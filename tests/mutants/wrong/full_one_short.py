"""Loses the last element of the full result.
Class: signal. Trigger: mode "full". Rarity: common.
Diagnosis: output size rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def convolve(in1, in2, mode="full"):
    out = _base.convolve(in1, in2, mode)
    return out[..., :-1] if mode == "full" else out
