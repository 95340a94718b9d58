"""Returns every second element of a fresh buffer."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    buffer = np.full((*out.shape[:-1], 2 * out.shape[-1]), np.nan, out.dtype)
    buffer[..., ::2] = out
    return buffer[..., ::2]


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    return np.repeat(out, 3, axis=2)[:, :, 1::3]
