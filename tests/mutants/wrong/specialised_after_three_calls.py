"""Specialises itself to the weight it sees in the third call of one shape, and keeps that.
Class: state. Trigger: a fourth call of the same shapes with another weight. Rarity: uncommon.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

SEEN = {}


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    calls = SEEN.setdefault((input.shape, weight.shape, weight.dtype), [])
    if len(calls) < 3:
        calls.append(weight.copy())
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    return _base.conv(input, calls[-1], bias, stride, padding, dilation, groups)
