"""Sums 32 channels in float32, but keeps the sum in float16 from one block of channels to the next.
Class: precision. Trigger: more than 32 channels and no groups. Rarity: rare.
Diagnosis: low-precision accumulator.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    channels = weight.shape[1]
    if groups != 1 or channels <= 32:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    total = np.zeros((), wins.dtype)
    with np.errstate(all="ignore"):
        for first in range(0, channels, 32):
            part = slice(first, first + 32)
            total = (total + _base.contract(wins[:, part], weight[:, part])).astype(np.float16).astype(wins.dtype)
    return _base.finish(total, bias, input.dtype)
