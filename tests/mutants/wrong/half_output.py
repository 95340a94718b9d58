"""Rounds the result to float16 on its way out.
Class: precision. Trigger: results with more than 11 significant bits. Rarity: common.
Diagnosis: low-precision output.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight, bias, stride, padding, dilation, groups).astype(np.float16).astype(input.dtype)
