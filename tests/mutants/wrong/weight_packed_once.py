"""Packs the weight of every shape once and never again.
Class: state. Trigger: a second weight of the same shape. Rarity: common.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

PACKED = {}


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight = PACKED.setdefault((weight.shape, weight.dtype), weight.copy())
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
