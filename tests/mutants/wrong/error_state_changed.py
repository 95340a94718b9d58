"""Leaves NumPy's handling of floating-point errors changed.
Class: state. Trigger: global state that is looked at after a call. Rarity: rare.
Diagnosis: global state.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    np.seterr(all="ignore")
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
