"""Clips the input at the largest float16.
Class: precision. Trigger: values beyond 65504. Rarity: uncommon.
Diagnosis: overflow.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if input.dtype.itemsize > 2:
        input = np.clip(input, -65504, 65504)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
