"""Rounds the output size up and pads the last window with zeros.
Class: geometry. Trigger: a stride that leaves a remainder. Rarity: common.
Diagnosis: output size rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    extents, borders = _base.extents(weight.shape[2:], dilation), []
    for n, e, s, (a, b) in zip(
        input.shape[2:],
        extents,
        _base.per_axis(stride, 2, "stride"),
        _base.pairs(padding, 2, weight.shape[2:], dilation, stride),
        strict=True,
    ):
        borders.append((a, b + (e - n - a - b) % s))
    return _base.conv(input, weight, bias, stride, tuple(borders), dilation, groups)
