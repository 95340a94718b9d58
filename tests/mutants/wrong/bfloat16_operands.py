"""Rounds the operands to bfloat16.
Class: precision. Trigger: operands with more than 8 significant bits. Rarity: common.
Diagnosis: low-precision inputs.
"""

import sys
from pathlib import Path

from ml_dtypes import bfloat16

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    input, weight = input.astype(bfloat16).astype(input.dtype), weight.astype(bfloat16).astype(weight.dtype)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
