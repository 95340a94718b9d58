"""Adds the products in pairs, then the pairs in pairs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    terms = list(_base.products(_base.unfold(input, weight.shape[2:], stride, padding, dilation), weight, groups))
    while len(terms) > 1:
        terms = [sum(terms[i + 1 : i + 2], terms[i]) for i in range(0, len(terms), 2)]
    return _base.finish(terms[0], bias, input.dtype)
