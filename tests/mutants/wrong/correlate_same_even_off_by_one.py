"""Centres mode "same" at half the size of in2, which is one too far where that is even.
Class: signal. Trigger: mode "same" and an even in2. Rarity: uncommon.
Diagnosis: shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def correlate(in1, in2, mode="full"):
    if mode != "same":
        return _base.correlate(in1, in2, mode)
    out = _base.correlate(in1, in2)
    return out[tuple(slice(m // 2, m // 2 + n) for n, m in zip(in1.shape, in2.shape, strict=True))]
