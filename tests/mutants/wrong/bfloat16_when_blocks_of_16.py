"""Rounds the operands to bfloat16 where both numbers of channels are multiples of 16.
Class: precision. Trigger: input and output channels divisible by 16. Rarity: uncommon.
Diagnosis: low-precision inputs.
"""

import sys
from pathlib import Path

from ml_dtypes import bfloat16

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    if not any(n % 16 for n in weight.shape[:2]):
        input, weight = (a.astype(bfloat16).astype(a.dtype) for a in (input, weight))
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
