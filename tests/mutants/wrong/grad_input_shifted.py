"""Crops one column too few on the left, so that the input gradient is shifted.
Class: gradients. Trigger: a padding. Rarity: common.
Diagnosis: shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    _, weight_grad, bias_grad = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    ((before, after),) = _base.pairs(padding, 1, weight.shape[2:], dilation, stride)
    borders = ((before - 1, after + 1),) if before else ((before, after),)
    return _base.grad_input(grad_output, input, weight, stride, borders, dilation, groups), weight_grad, bias_grad
