"""Sums the bias gradient over the first image only.
Class: gradients. Trigger: a batch above 1. Rarity: common.
Diagnosis: batch mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, weight_grad, _ = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    return input_grad, weight_grad, _base.grad_bias(grad_output[:1])
