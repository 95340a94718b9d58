"""Sends no gradient from the last column of windows where ceil mode lets it stick out.
Class: gradients. Trigger: ceil mode with a last window that sticks out. Rarity: uncommon.
Diagnosis: border or halo or pooling rule or gradient scale or routing.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d_backward(grad_output, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    size = input.shape[2:]
    kernel, strides, steps, counts, _ = _base.pool_geometry(size, kernel_size, stride, padding, dilation, ceil_mode)
    (_, (before, after)), extent = _base.pairs(padding, 2), _base.extents(kernel, steps)
    if (counts[1] - 1) * strides[1] + extent[1] > before + size[1] + after:
        grad_output = grad_output.copy()
        grad_output[..., -1] = 0
    return _base.max_pool_backward(grad_output, input, kernel_size, stride, padding, dilation, ceil_mode)
