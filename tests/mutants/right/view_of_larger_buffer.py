"""Returns a view into the middle of a larger buffer that it allocates for every call."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    buffer = np.full((out.shape[0], out.shape[1] + 2, out.shape[2] + 3, out.shape[3] + 5), np.nan, out.dtype)
    buffer[:, 1:-1, 1:-2, 2:-3] = out
    return buffer[:, 1:-1, 1:-2, 2:-3]
