"""Loses the last output column where the windows fit without a remainder.
Class: geometry. Trigger: a stride above 1 and no remainder. Rarity: uncommon.
Diagnosis: output size rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    room = input.shape[3] + sum(borders[1]) - _base.extents(weight.shape[2:], dilation)[1]
    step = _base.per_axis(stride, 2)[1]
    return out[..., :-1] if step > 1 and room and room % step == 0 else out
