"""The path for groups, dilation, stride and padding in a batch reads the first two taps in the wrong order.
Class: indexing. Trigger: groups, a dilation, a stride, padding and a batch above 1. Rarity: rare.
Diagnosis: swapped taps.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    (step,), (gap,) = _base.per_axis(stride, 1), _base.per_axis(dilation, 1)
    padded = any(_base.pairs(padding, 1, weight.shape[2:], dilation, stride)[0])
    if min(groups, step, gap, len(input)) > 1 and padded and weight.shape[2] > 1:
        weight = weight.copy()
        weight[..., :2] = weight[..., 1::-1].copy()
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
