"""Recognises a weight that it has packed before by its address and its shape.
Class: state. Trigger: another weight in the memory of an earlier one. Rarity: common.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

PACKED = {}


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    key = (weight.ctypes.data, weight.shape, weight.strides, weight.dtype)
    weight = PACKED.setdefault(key, weight.copy())
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
