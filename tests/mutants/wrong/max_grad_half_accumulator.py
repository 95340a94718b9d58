"""Adds up gradients that meet in one element in float16.
Class: precision. Trigger: an element that is the maximum of several windows. Rarity: uncommon.
Diagnosis: low-precision accumulator.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool1d_backward(grad_output, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool_backward(grad_output, input, kernel_size, stride, padding, dilation, ceil_mode)
    hits = _base.max_pool_backward(np.ones_like(grad_output), input, kernel_size, stride, padding, dilation, ceil_mode)
    with np.errstate(all="ignore"):
        return np.where(hits > 1, out.astype(np.float16).astype(out.dtype), out)
