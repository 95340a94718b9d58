"""Sums in float64 where there are more than 64 channels."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if weight.shape[1] <= 64:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    operands = (a if a is None else a.astype(np.float64) for a in (input, weight, bias))
    return _base.conv(*operands, stride, padding, dilation, groups).astype(input.dtype)
