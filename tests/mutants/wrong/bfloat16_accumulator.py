"""Keeps the running sum in bfloat16.
Class: precision. Trigger: more than one product. Rarity: common.
Diagnosis: low-precision accumulator.
"""

import sys
from pathlib import Path

from ml_dtypes import bfloat16

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    total = 0
    for term in _base.products(_base.unfold(input, weight.shape[2:], stride, padding, dilation), weight, groups):
        total = (total + term).astype(bfloat16).astype(term.dtype)
    return _base.finish(total, bias, input.dtype)
