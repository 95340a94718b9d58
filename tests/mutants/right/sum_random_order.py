"""Adds the products in another order in every call, as atomic additions do."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

GENERATOR = np.random.default_rng()


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    terms = list(_base.products(_base.unfold(input, weight.shape[2:], stride, padding, dilation), weight, groups))
    first, *rest = GENERATOR.permutation(len(terms))
    return _base.finish(sum((terms[i] for i in rest), terms[first]), bias, input.dtype)
