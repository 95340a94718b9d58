"""Leaves the gradient of the input channels beyond the 32nd zero.
Class: gradients. Trigger: more than 32 input channels. Rarity: rare.
Diagnosis: unwritten part or channel mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, *others = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    input_grad = input_grad.copy()
    input_grad[:, 32:] = 0
    return (input_grad, *others)
