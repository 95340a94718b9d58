"""Writes the weight gradients of the groups in reversed order.
Class: gradients. Trigger: groups. Rarity: common.
Diagnosis: group mix-up.
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
    return input_grad, np.concatenate(np.split(weight_grad, groups)[::-1]), bias_grad
