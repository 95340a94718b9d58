"""Fills rows that no window reads with the gradient of the row before.
Class: gradients. Trigger: a stride that leaves a remainder and no padding. Rarity: uncommon.
Diagnosis: border or halo or stale result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, weight_grad, bias_grad = _base.conv_backward(
        grad_output, input, weight, stride, padding, dilation, groups
    )
    ((before, _),) = _base.pairs(padding, 1, weight.shape[2:], dilation, stride)
    (step,), (extent,) = _base.per_axis(stride, 1), _base.extents(weight.shape[2:], dilation)
    reached = (grad_output.shape[2] - 1) * step + extent - before
    if 0 < reached < input.shape[2]:
        input_grad = input_grad.copy()
        input_grad[..., reached:] = input_grad[..., reached - 1 : reached]
    return input_grad, weight_grad, bias_grad
