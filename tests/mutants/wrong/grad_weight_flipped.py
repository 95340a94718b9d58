"""Returns the weight gradient of the flipped kernel.
Class: gradients. Trigger: a kernel above 1. Rarity: common.
Diagnosis: flipped kernel.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, weight_grad, bias_grad = _base.conv_backward(
        grad_output, input, weight, stride, padding, dilation, groups
    )
    return input_grad, weight_grad[..., ::-1], bias_grad
