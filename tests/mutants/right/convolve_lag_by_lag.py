"""Supports one axis only and computes every lag by itself."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def convolve(in1, in2, mode="full"):
    if in1.ndim != 1:
        raise NotImplementedError("one axis only")
    n, m = len(in1), len(in2)
    dtype = _base.wide(in1.dtype)
    out = np.zeros(n + m - 1, dtype)
    for i in range(n + m - 1):
        lag = i - np.arange(m)
        inside = (lag >= 0) & (lag < n)
        out[i] = (in1[lag[inside]].astype(dtype) * in2[inside].astype(dtype)).sum()
    return _base.part(out, in1.shape, in2.shape, mode).astype(in1.dtype)
