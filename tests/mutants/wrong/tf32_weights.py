"""Rounds the float32 weight, but not the input, to TF32.
Class: precision. Trigger: a float32 weight with more than 11 significant bits. Rarity: common.
Diagnosis: low-precision inputs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, _base.to_tf32(weight), bias, stride, padding, dilation, groups)
