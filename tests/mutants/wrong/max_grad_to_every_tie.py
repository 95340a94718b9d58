"""Sends the whole gradient to every one of equal maxima.
Class: pooling. Trigger: a tie in a window. Rarity: common.
Diagnosis: pooling rule or gradient scale or routing.
"""

import itertools
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d_backward(grad_output, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    size = input.shape[2:]
    kernel, strides, dilations, counts, borders = _base.pool_geometry(
        size, kernel_size, stride, padding, dilation, ceil_mode
    )
    image = _base.pad(input, borders, -np.inf)
    canvas = np.zeros(image.shape, _base.wide(input.dtype))
    for tap in itertools.product(*map(range, kernel)):
        place = (..., *_base.tap_slices(tap, dilations, strides, counts))
        canvas[place] += np.where(image[place] == out, grad_output, 0)
    return _base.crop(canvas, borders, size).astype(input.dtype)
