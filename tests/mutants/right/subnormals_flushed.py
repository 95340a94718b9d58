"""Flushes subnormal operands and results to zero."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def flush(array):
    if array is None or array.dtype not in (np.float32, np.float64):
        return array
    return np.where(abs(array) < np.finfo(array.dtype).tiny, np.zeros((), array.dtype), array)


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return flush(_base.conv(flush(input), flush(weight), flush(bias), stride, padding, dilation, groups))
