"""Computes float64 in float32.
Class: precision. Trigger: dtype float64: values or sums that float32 cannot hold. Rarity: common.
Diagnosis: low-precision accumulator or low-precision inputs.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    operands = [a if a is None else a.astype(np.float32) for a in (input, weight, bias)]
    return _base.conv(*operands, stride, padding, dilation, groups).astype(input.dtype)
