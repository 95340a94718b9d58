"""Flips in2 along the last axis only.
Class: signal. Trigger: an in2 of more than one axis. Rarity: uncommon.
Diagnosis: flipped kernel.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def convolve(in1, in2, mode="full"):
    turned = _base.reverse(in2)[..., ::-1]
    return _base.convolve(in1, turned, mode)
