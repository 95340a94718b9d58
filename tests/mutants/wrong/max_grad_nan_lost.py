"""Sends no gradient to a window whose maximum is NaN.
Class: pooling. Trigger: a NaN in a window. Rarity: rare.
Diagnosis: NaN handling.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool1d_backward(grad_output, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    top = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    grad_output = np.where(np.isnan(top), np.zeros((), input.dtype), grad_output)
    return _base.max_pool_backward(grad_output, input, kernel_size, stride, padding, dilation, ceil_mode)
