"""Puts the odd cell of "same" padding before the data instead of after it.
Class: geometry. Trigger: padding "same" with an even kernel and an odd dilation. Rarity: uncommon.
Diagnosis: border or halo or shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    if padding == "same":
        borders = tuple((b, a) for a, b in borders)
    return _base.conv(input, weight, bias, stride, borders, dilation, groups)
