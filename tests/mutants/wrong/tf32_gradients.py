"""Rounds the output gradient to TF32.
Class: precision. Trigger: a float32 gradient with more than 11 significant bits. Rarity: common.
Diagnosis: low-precision inputs.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv_backward(_base.to_tf32(grad_output), input, weight, stride, padding, dilation, groups)
