"""Computes depth slices in blocks of four and leaves the remainder of a deeper volume zero.
Class: indexing. Trigger: an output depth above 4, not a multiple of 4. Rarity: uncommon.
Diagnosis: unwritten part.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    depth = out.shape[2]
    if depth > 4:
        out[:, :, depth - depth % 4 :] = 0
    return out
