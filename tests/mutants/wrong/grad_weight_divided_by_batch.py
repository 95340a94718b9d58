"""Averages the weight gradient over the batch.
Class: gradients. Trigger: a batch above 1. Rarity: common.
Diagnosis: gradient scale or routing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, weight_grad, bias_grad = _base.conv_backward(
        grad_output, input, weight, stride, padding, dilation, groups
    )
    return input_grad, (weight_grad / max(len(input), 1)).astype(input.dtype), bias_grad
