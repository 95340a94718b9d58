"""Averages the bias gradient instead of summing it.
Class: gradients. Trigger: more than one output position. Rarity: common.
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
    positions = max(grad_output[:, 0].size, 1)
    return input_grad, weight_grad, (bias_grad / positions).astype(input.dtype)
