"""Sums in float64, keeps subnormal numbers, repeats itself bit for bit, and says all that."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation).astype(np.float64)
    with np.errstate(all="ignore"):
        out = sum(_base.products(wins, weight, groups))
        return _base.finish(out, bias, input.dtype)


conv1d.refconv = {
    "accumulate": "float64",
    "subnormals": "ieee",
    "deterministic": True,
    "batch_invariant": True,
}
