"""Splits the sum over 256 and more channels among four workers, who hand in bfloat16.
Class: precision. Trigger: at least 256 channels and no groups. Rarity: rare.
Diagnosis: low-precision accumulator.
"""

import sys
from pathlib import Path

from ml_dtypes import bfloat16

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    channels = weight.shape[1]
    if groups != 1 or channels < 256:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    wins, share = _base.unfold(input, weight.shape[2:], stride, padding, dilation), -(-channels // 4)
    parts = [slice(first, first + share) for first in range(0, channels, share)]
    total = sum(_base.contract(wins[:, p], weight[:, p]).astype(bfloat16).astype(wins.dtype) for p in parts)
    return _base.finish(total, bias, input.dtype)
