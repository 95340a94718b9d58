"""Rounds float32 operands to TF32 where channels and width are multiples of 8.
Class: precision. Trigger: dtype float32: input channels, output channels and width divisible by 8. Rarity: uncommon.
Diagnosis: low-precision inputs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if not any(n % 8 for n in (*weight.shape[:2], input.shape[3])):
        input, weight = _base.to_tf32(input), _base.to_tf32(weight)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
