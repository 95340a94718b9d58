"""Gives cells that no window covers the gradient of their neighbour.
Class: gradients. Trigger: a stride above the kernel. Rarity: uncommon.
Diagnosis: border or halo or gradient scale or routing or shifted.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool1d_backward(grad_output, input, kernel_size, stride=None, padding=0, ceil_mode=False, **arguments):
    out = _base.avg_pool_backward(grad_output, input, kernel_size, stride, padding, ceil_mode, **arguments)
    (kernel,) = _base.per_axis(kernel_size, 1)
    step = kernel if stride is None else _base.per_axis(stride, 1)[0]
    if step <= kernel:
        return out
    ones = np.ones_like(grad_output)
    covered = _base.avg_pool_backward(ones, input, kernel_size, stride, padding, ceil_mode) != 0
    return np.where(covered, out, np.roll(out, 1, 2))
