"""Keeps the running sum in float16.
Class: precision. Trigger: sums with more than 11 significant bits. Rarity: common.
Diagnosis: low-precision accumulator.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    total = 0
    for term in _base.products(_base.unfold(input, weight.shape[2:], stride, padding, dilation), weight, groups):
        total = (total + term).astype(np.float16).astype(term.dtype)
    return _base.finish(total, bias, input.dtype)
