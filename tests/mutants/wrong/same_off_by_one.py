"""Starts the middle part of mode "same" one element too late.
Class: signal. Trigger: mode "same" with an even in2. Rarity: common.
Diagnosis: shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def convolve(in1, in2, mode="full"):
    if mode != "same":
        return _base.convolve(in1, in2, mode)
    out = _base.full(in1, in2)
    return out[tuple(slice(m // 2, m // 2 + n) for n, m in zip(in1.shape, in2.shape, strict=True))].astype(in1.dtype)
