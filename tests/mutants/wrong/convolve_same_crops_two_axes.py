"""Crops only the last two axes to the centre in mode "same", the one before them to the front.
Class: signal. Trigger: three axes, mode "same" and more than two elements of in2 on the first axis. Rarity: rare.
Diagnosis: shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def convolve(in1, in2, mode="full"):
    if mode != "same" or in1.ndim != 3:
        return _base.convolve(in1, in2, mode)
    starts = (0, *((m - 1) // 2 for m in in2.shape[1:]))
    return _base.convolve(in1, in2)[tuple(slice(a, a + n) for a, n in zip(starts, in1.shape, strict=True))]
