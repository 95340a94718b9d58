"""Every image of the batch gets the result of the first one.
Class: indexing. Trigger: a batch above 1. Rarity: common.
Diagnosis: batch mix-up.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    return np.concatenate([out[:1]] * len(out)) if len(out) else out
