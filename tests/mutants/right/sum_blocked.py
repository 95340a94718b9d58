"""Adds the products in blocks of eight, then the blocks."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    total = 0
    block = 0
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    for i, term in enumerate(_base.products(wins, weight, groups)):
        if i % 8 == 0:
            total, block = total + block, 0
        block = block + term
    return _base.finish(total + block, bias, input.dtype)
