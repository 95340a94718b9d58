"""Spreads the gradient from the end of the image, where the stride leaves a remainder at the end.
Class: gradients. Trigger: a stride that leaves a remainder. Rarity: uncommon.
Diagnosis: shifted.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, *others = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    (_, (before, after)) = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    (_, step), (_, extent) = _base.per_axis(stride, 2), _base.extents(weight.shape[2:], dilation)
    rest = (input.shape[3] + before + after - extent) % step
    if rest:
        input_grad = np.roll(input_grad, rest, 3)
    return (input_grad, *others)
