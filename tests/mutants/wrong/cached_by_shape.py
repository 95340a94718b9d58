"""Returns the first result again for operands of the same shapes.
Class: state. Trigger: a second call with the same shapes and other values. Rarity: common.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

RESULTS = {}


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    key = (input.shape, weight.shape, bias is None, input.dtype, str((stride, padding, dilation, groups)))
    if key not in RESULTS:
        RESULTS[key] = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    return RESULTS[key].copy()
