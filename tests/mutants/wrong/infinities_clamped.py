"""Replaces infinities by the largest number.
Class: precision. Trigger: an infinity in the input. Rarity: uncommon.
Diagnosis: overflow or NaN handling.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if input.dtype.itemsize > 2:
        limit = np.finfo(input.dtype).max
        input = np.clip(input, -limit, limit)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
