"""Correlates the gradient with the kernel as it is, not rotated by 180 degrees.
Class: gradients. Trigger: a kernel that is not its own flip. Rarity: common.
Diagnosis: flipped kernel.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    _, weight_grad, bias_grad = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    input_grad = _base.grad_input(grad_output, input, weight[:, :, ::-1, ::-1], stride, padding, dilation, groups)
    return input_grad, weight_grad, bias_grad
