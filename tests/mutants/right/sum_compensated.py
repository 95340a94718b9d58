"""Adds the products by Kahan's compensated summation."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    total, lost = 0, 0
    for term in _base.products(_base.unfold(input, weight.shape[2:], stride, padding, dilation), weight, groups):
        term = term - lost
        new = total + term
        total, lost = new, np.where(np.isfinite(new), (new - total) - term, 0)
    return _base.finish(total, bias, input.dtype)
