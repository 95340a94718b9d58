"""Rounds every product to an integer.
Class: precision. Trigger: products that are no integers. Rarity: uncommon.
Diagnosis: low-precision inputs or low-precision accumulator.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    total = 0
    for term in _base.products(_base.unfold(input, weight.shape[2:], stride, padding, dilation), weight, groups):
        total = total + term.round()
    return _base.finish(total, bias, input.dtype)
