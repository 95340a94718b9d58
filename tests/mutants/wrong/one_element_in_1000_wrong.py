"""Doubles one element in a thousand, wherever that falls.
Class: state. Trigger: a result that is not zero, one in a thousand. Rarity: rare.
Diagnosis: stale result or unknown.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

RANDOM = np.random.default_rng(5)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    return np.where(RANDOM.random(out.shape) < 0.001, out + out, out)
