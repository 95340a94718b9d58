"""Writes the gradient where windows overlap instead of adding it.
Class: pooling. Trigger: overlapping windows with the same maximum. Rarity: common.
Diagnosis: overwrites.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d_backward(grad_output, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    index = _base.winners(input, kernel_size, stride, padding, dilation, ceil_mode)
    _base.max_pool_backward(grad_output, input, kernel_size, stride, padding, dilation, ceil_mode)
    out = np.zeros(input.shape, input.dtype)
    for n, c in np.ndindex(*input.shape[:2]):
        out[n, c].flat[index[n, c]] = grad_output[n, c]
    return out
