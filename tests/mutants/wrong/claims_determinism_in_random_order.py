"""Says that it is deterministic, but sums in another order in every call.
Class: state. Trigger: two calls on the same operands. Rarity: common.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

RANDOM = np.random.default_rng(7)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    terms = list(_base.products(wins, weight, groups))
    RANDOM.shuffle(terms)
    with np.errstate(all="ignore"):
        return _base.finish(sum(terms), bias, input.dtype)


conv2d.refconv = {"deterministic": True}
