"""Cuts a kernel that is larger than the padded image down to it and computes something.
Class: geometry. Trigger: a kernel that fits nowhere. Rarity: uncommon.
Diagnosis: accepts an impossible call.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    borders = _base.pairs(padding, 3, weight.shape[2:], dilation, stride)
    rooms = (n + a + b - 1 for n, (a, b) in zip(input.shape[2:], borders, strict=True))
    fits = (slice(room // d + 1) for room, d in zip(rooms, _base.per_axis(dilation, 3), strict=True))
    return _base.conv(input, weight[(..., *fits)], bias, stride, borders, dilation, groups)
