"""Writes where the spread kernels overlap instead of adding.
Class: indexing. Trigger: a kernel larger than the stride. Rarity: common.
Diagnosis: overwrites.
"""

import itertools
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    want = _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
    (s,), (d,) = _base.per_axis(stride, 1), _base.per_axis(dilation, 1)
    ((before, after),) = borders = _base.pairs(padding, 1)
    canvas = np.zeros((*want.shape[:2], before + want.shape[2] + after), want.dtype)
    for n, k in itertools.product(range(input.shape[2]), range(weight.shape[2])):
        column = _base.conv_transpose(input[..., n : n + 1], weight[..., k : k + 1], groups=groups)
        canvas[..., n * s + k * d] = column[..., 0]
    return _base.finish(_base.crop(canvas, borders, want.shape[2:]), bias, input.dtype)
