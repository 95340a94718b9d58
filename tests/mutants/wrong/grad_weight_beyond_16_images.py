"""Sums the weight gradient over sixteen images at most.
Class: gradients. Trigger: a batch above 16. Rarity: rare.
Diagnosis: batch mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, _, bias_grad = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    weight_grad = _base.grad_weight(grad_output[:16], input[:16], weight, stride, padding, dilation, groups)
    return input_grad, weight_grad, bias_grad
