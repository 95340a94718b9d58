"""Handles one block of 32 columns and leaves every column beyond it zero.
Class: indexing. Trigger: an output width above 32. Rarity: uncommon.
Diagnosis: unwritten part.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    out[..., 32:] = 0
    return out
