"""Sums the weight gradient over blocks of sixteen positions and forgets the rest of a longer row.
Class: gradients. Trigger: more than 16 outputs, not a multiple of 16. Rarity: uncommon.
Diagnosis: border or halo or dropped tap.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, _, bias_grad = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    whole, size = grad_output.copy(), grad_output.shape[2]
    if size > 16:
        whole[..., size - size % 16 :] = 0
    return input_grad, _base.grad_weight(whole, input, weight, stride, padding, dilation, groups), bias_grad
