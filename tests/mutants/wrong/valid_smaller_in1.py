"""Returns the valid result reversed when in1 is the smaller operand.
Class: signal. Trigger: mode "valid" with in1 smaller than in2. Rarity: uncommon.
Diagnosis: flipped kernel or wrong axis.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def correlate(in1, in2, mode="full"):
    out = _base.correlate(in1, in2, mode)
    return _base.reverse(out) if mode == "valid" and in1.size < in2.size else out
