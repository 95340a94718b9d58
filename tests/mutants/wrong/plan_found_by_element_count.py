"""Finds the plan of an earlier call by the number of elements and takes its shapes.
Class: state. Trigger: two calls with as many elements in other shapes. Rarity: rare.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

PLANS = {}


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    key = (input.size, weight.size, len(weight), str((stride, padding, dilation, groups)))
    first, second = PLANS.setdefault(key, (input.shape, weight.shape))
    if input.size:
        input, weight = input.reshape(first), weight.reshape(second)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
