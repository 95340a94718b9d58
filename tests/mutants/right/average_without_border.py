"""Averages window by window without a border of zeros."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    size = input.shape[2:]
    (k,), (s,), _, (count,), _ = _base.pool_geometry(size, kernel_size, stride, padding, 1, ceil_mode)
    start = np.arange(count) * s - _base.pairs(padding, 1)[0][0]
    column = np.arange(size[0])[:, None]
    shares = _base.divisors(size, (k,), (s,), padding, (count,), count_include_pad)
    out = np.zeros((*input.shape[:2], count), _base.wide(input.dtype))
    for i in range(count):
        inside = ((column >= start[i]) & (column < start[i] + k))[:, 0]
        out[..., i] = input[..., inside].astype(out.dtype).sum(2) / out.dtype.type(shares[i])
    return out.astype(input.dtype)
