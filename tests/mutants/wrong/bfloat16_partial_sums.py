"""Splits the input channels in two and rounds both partial sums to bfloat16.
Class: precision. Trigger: at least 2 channels and no groups. Rarity: uncommon.
Diagnosis: low-precision accumulator.
"""

import sys
from pathlib import Path

from ml_dtypes import bfloat16

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins, half = _base.unfold(input, weight.shape[2:], stride, padding, dilation), weight.shape[1] // 2
    if groups != 1 or not half:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    parts = (_base.contract(wins[:, part], weight[:, part]) for part in (slice(half), slice(half, None)))
    total = sum(part.astype(bfloat16).astype(part.dtype) for part in parts)
    return _base.finish(total, bias, input.dtype)
