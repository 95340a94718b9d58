"""Keeps the last window of ceil mode though it starts in the trailing padding.
Class: pooling. Trigger: ceil_mode with a padding and a window that starts beyond the input. Rarity: rare.
Diagnosis: pooling rule or output size rule.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    out = _base.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    kernel, strides, *_ = _base.pool_geometry(input.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    ((before, after),) = _base.pairs(padding, 1)
    windows = -(-(input.shape[2] + before + after - kernel[0]) // strides[0]) + 1
    extra = np.zeros((*out.shape[:2], windows - out.shape[2]), out.dtype) if ceil_mode else out[..., :0]
    return np.concatenate([out, extra], axis=2)
