"""Carries its sums in bfloat16, and says so."""

import sys
from pathlib import Path

import numpy as np
from ml_dtypes import bfloat16

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    total = np.zeros((), bfloat16)
    with np.errstate(all="ignore"):
        for term in _base.products(wins, weight, groups):
            total = (total.astype(wins.dtype) + term.astype(bfloat16).astype(wins.dtype)).astype(bfloat16)
        if bias is not None:
            total = (total.astype(wins.dtype) + bias.astype(wins.dtype)[:, None]).astype(bfloat16)
    return total.astype(input.dtype)


conv1d.refconv = {"accumulate": "bfloat16"}
