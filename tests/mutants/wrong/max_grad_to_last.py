"""Sends the gradient to the last of equal maxima.
Class: pooling. Trigger: a tie in a window. Rarity: uncommon.
Diagnosis: pooling rule or gradient scale or routing.
"""

import itertools
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d_backward(grad_output, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    top = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    size = input.shape[2:]
    kernel, strides, dilations, counts, borders = _base.pool_geometry(
        size, kernel_size, stride, padding, dilation, ceil_mode
    )
    image, left = _base.pad(input, borders, -np.inf), grad_output.astype(_base.wide(input.dtype))
    canvas = np.zeros(image.shape, left.dtype)
    for tap in itertools.product(*(range(k)[::-1] for k in kernel)):
        place = (..., *_base.tap_slices(tap, dilations, strides, counts))
        hit = (image[place] == top) | (np.isnan(image[place]) & np.isnan(top))
        canvas[place] += np.where(hit, left, 0)
        left = np.where(hit, 0, left)
    return _base.crop(canvas, borders, size).astype(input.dtype)
