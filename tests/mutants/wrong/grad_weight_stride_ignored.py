"""Slides the output gradient over the input without the stride.
Class: gradients. Trigger: a stride. Rarity: common.
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
        wins = _base.unfold(input, weight.shape[2:], 1, padding, dilation)[:, :, : size[0], : size[1]]
        weight_grad = np.einsum("noyx,ncyxij->ocij", grad_output.astype(wins.dtype), wins).astype(input.dtype)
    return input_grad, weight_grad, bias_grad
