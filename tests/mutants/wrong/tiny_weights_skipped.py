"""Takes weights below 1e-8 for zero and skips them.
Class: precision. Trigger: weights below 1e-8 that matter. Rarity: rare.
Diagnosis: flush to zero or dropped tap.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight = np.where(abs(weight) < 1e-8, np.zeros((), weight.dtype), weight)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
