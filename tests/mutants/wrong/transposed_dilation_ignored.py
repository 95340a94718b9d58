"""Spreads the taps next to each other, whatever the dilation.
Class: geometry. Trigger: a dilation. Rarity: common.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    borders = _base.pairs(padding, 2)
    size = _base.transposed_size(input.shape[2:], weight.shape[2:], stride, borders, output_padding, dilation)
    canvas = _base.conv_transpose(input, weight, None, stride, 0, 0, groups)
    room = tuple((0, n + a + b - m) for n, (a, b), m in zip(size, borders, canvas.shape[2:], strict=True))
    return _base.finish(_base.crop(_base.pad(canvas, room), borders, size), bias, input.dtype)
