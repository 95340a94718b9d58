"""Loses an update in every eighth call, as a data race does.
Class: state. Trigger: the eighth call. Rarity: rare.
Diagnosis: stale result.
"""

import itertools
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

CALLS = itertools.count(1)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if next(CALLS) % 8 == 0:
        weight = weight.copy()
        weight[..., -1] = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
