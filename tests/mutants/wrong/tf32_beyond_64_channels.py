"""Rounds float32 operands to TF32 where the channels are many enough for the matrix units.
Class: precision. Trigger: dtype float32: more than 64 channels and operands of more than 11 bits. Rarity: uncommon.
Diagnosis: low-precision inputs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if weight.shape[1] > 64:
        input, weight = _base.to_tf32(input), _base.to_tf32(weight)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
