"""Launches one block of 128 threads and leaves outputs beyond it zero.
Class: indexing. Trigger: more than 128 outputs along the axis. Rarity: uncommon.
Diagnosis: unwritten part.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    out[..., 128:] = 0
    return out
