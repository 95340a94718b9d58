"""Computes the weight gradient of neighbouring taps, whatever the dilation.
Class: gradients. Trigger: a dilation. Rarity: common.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, weight_grad, bias_grad = _base.conv_backward(
        grad_output, input, weight, stride, padding, dilation, groups
    )
    if groups == 1:
        size = grad_output.shape[2:]
        borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
        wins = _base.unfold(input, weight.shape[2:], stride, borders, 1)[:, :, : size[0], : size[1]]
        weight_grad = np.einsum("noyx,ncyxij->ocij", grad_output.astype(wins.dtype), wins).astype(input.dtype)
    return input_grad, weight_grad, bias_grad
