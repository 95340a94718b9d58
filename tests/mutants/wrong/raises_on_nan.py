"""Refuses an input that is not finite.
Class: state. Trigger: a NaN or infinity in the input. Rarity: common.
Diagnosis: raises.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if not np.isfinite(input.astype(float)).all():
        raise ValueError("input contains NaN or infinity")
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
