"""Returns float64 for float32 operands.
Class: precision. Trigger: dtype float32: always. Rarity: common.
Diagnosis: wrong dtype or type.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight, bias, stride, padding, dilation, groups).astype(np.float64)
