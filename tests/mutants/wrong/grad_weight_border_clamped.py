"""Computes the weight gradient from an image whose padding repeats the edge.
Class: gradients. Trigger: a padding. Rarity: uncommon.
Diagnosis: border or halo.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, _, bias_grad = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    image = np.pad(input, ((0, 0), (0, 0), *borders), mode="edge")
    return input_grad, _base.grad_weight(grad_output, image, weight, stride, 0, dilation, groups), bias_grad
