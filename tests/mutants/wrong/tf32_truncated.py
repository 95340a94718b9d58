"""Cuts float32 operands to TF32.
Class: precision. Trigger: float32 operands with more than 11 significant bits. Rarity: common.
Diagnosis: low-precision inputs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(_base.to_tf32(input, True), _base.to_tf32(weight, True), bias, stride, padding, dilation, groups)
