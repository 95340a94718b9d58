"""Rounds the bias to float32, whatever the dtype.
Class: precision. Trigger: dtype float64: a bias of more than 24 bits. Rarity: uncommon.
Diagnosis: bias or low-precision inputs.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    with np.errstate(all="ignore"):
        bias = bias if bias is None else bias.astype(np.float32).astype(input.dtype)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
