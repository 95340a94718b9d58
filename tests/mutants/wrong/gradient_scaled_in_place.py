"""Divides the caller's gradient in place.
Class: memory. Trigger: a writable gradient and a window above 1. Rarity: common.
Diagnosis: mutated operand.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool2d_backward(
    grad_output, input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    cells = np.prod(_base.per_axis(kernel_size, 2, "kernel_size"))
    out = _base.avg_pool_backward(grad_output, input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    grad_output /= np.array(cells, grad_output.dtype)
    return out
