"""Leaves the last image out of the weight gradient.
Class: gradients. Trigger: a batch above 1. Rarity: uncommon.
Diagnosis: batch mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, weight_grad, bias_grad = _base.conv_backward(
        grad_output, input, weight, stride, padding, dilation, groups
    )
    if len(input) > 1:
        weight_grad = _base.grad_weight(grad_output[:-1], input[:-1], weight, stride, padding, dilation, groups)
    return input_grad, weight_grad, bias_grad
