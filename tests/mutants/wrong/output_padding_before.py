"""Adds the output padding before the data instead of after it.
Class: geometry. Trigger: output padding. Rarity: common.
Diagnosis: ignored argument or shifted or border or halo.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    extra = _base.per_axis(output_padding, 2, "output_padding", 0)
    borders = _base.pairs(padding, 2)
    size = _base.transposed_size(input.shape[2:], weight.shape[2:], stride, borders, output_padding, dilation)
    canvas = _base.conv_transpose(input, weight, None, stride, 0, 0, groups, dilation)
    before = tuple((o - a, o + b) for (a, b), o in zip(borders, extra, strict=True))
    return _base.finish(_base.crop(shift(canvas, before), ((0, 0),) * 2, size), bias, input.dtype)


def shift(canvas, borders):
    """Negative: cuts off; positive: puts zeros before."""
    grown = _base.pad(canvas, tuple((max(a, 0), b) for a, b in borders))
    return grown[:, :, max(-borders[0][0], 0) :, max(-borders[1][0], 0) :]
