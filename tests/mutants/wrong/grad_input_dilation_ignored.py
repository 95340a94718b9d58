"""Spreads the gradient over neighbouring cells, whatever the dilation.
Class: gradients. Trigger: a dilation. Rarity: common.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    _, weight_grad, bias_grad = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    borders = _base.pairs(padding, 3, weight.shape[2:], dilation, stride)
    return _base.grad_input(grad_output, input, weight, stride, borders, 1, groups), weight_grad, bias_grad
