"""Remembers the place of each maximum in eight bits.
Class: gradients. Trigger: an image of more than 256 cells. Rarity: uncommon.
Diagnosis: gradient scale or routing.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d_backward(grad_output, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    index = _base.winners(input, kernel_size, stride, padding, dilation, ceil_mode)
    if input[0, 0].size <= 256 if input.size else True:
        return _base.max_pool_backward(grad_output, input, kernel_size, stride, padding, dilation, ceil_mode)
    out = np.zeros((input.shape[0] * input.shape[1], input[0, 0].size), _base.wide(input.dtype))
    rows = np.arange(len(out))[:, None]
    grad = grad_output.reshape(len(out), -1).astype(out.dtype)
    np.add.at(out, (rows, index.reshape(len(out), -1) % 256), np.where(index.reshape(len(out), -1) < 0, 0, grad))
    return out.reshape(input.shape).astype(input.dtype)
