"""Recognises a weight that it has packed before by its shape and its sum.
Class: state. Trigger: a weight with the sum of an earlier one. Rarity: uncommon.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

PACKED = {}


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    with np.errstate(all="ignore"):
        key = (weight.shape, weight.dtype, float(weight.astype(float).sum()))
    weight = PACKED.setdefault(key, weight.copy())
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
