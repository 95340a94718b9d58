"""Rounds the float32 operands of a transposed convolution to TF32.
Class: precision. Trigger: float32 operands with more than 11 significant bits. Rarity: common.
Diagnosis: low-precision inputs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    input, weight = _base.to_tf32(input), _base.to_tf32(weight)
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
