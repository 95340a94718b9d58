"""Keeps the dilation in two bits.
Class: geometry. Trigger: a dilation above 3. Rarity: uncommon.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    size = _base.unfold(input, weight.shape[2:], stride, padding, dilation).shape[2:4]
    near = tuple(d if d <= 3 else max(1, d % 4) for d in _base.per_axis(dilation, 2))
    borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    return _base.conv(input, weight, bias, stride, borders, near, groups)[:, :, : size[0], : size[1]]
