"""Clips finite values at 1e18 against overflow; infinities stay.
Class: precision. Trigger: finite values beyond 1e18. Rarity: rare.
Diagnosis: overflow.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if input.dtype.itemsize > 2:
        input = np.where(np.isinf(input), input, np.clip(input, -1e18, 1e18)).astype(input.dtype)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
