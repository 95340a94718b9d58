"""Carries the weight gradient from image to image in float16.
Class: precision. Trigger: a batch above 1. Rarity: uncommon.
Diagnosis: low-precision accumulator.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, _, bias_grad = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    carry = np.zeros(weight.shape, np.float16)
    for n in range(len(input)):
        part = _base.grad_weight(grad_output[n : n + 1], input[n : n + 1], weight, stride, padding, dilation, groups)
        carry = (carry + part).astype(np.float16)
    return input_grad, carry.astype(input.dtype), bias_grad
