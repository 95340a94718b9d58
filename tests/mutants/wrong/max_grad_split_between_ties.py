"""Splits the gradient evenly between equal maxima.
Class: pooling. Trigger: a tie in a window. Rarity: uncommon.
Diagnosis: pooling rule or gradient scale or routing.
"""

import itertools
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool1d_backward(grad_output, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    top = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    size = input.shape[2:]
    kernel, strides, dilations, counts, borders = _base.pool_geometry(
        size, kernel_size, stride, padding, dilation, ceil_mode
    )
    image = _base.pad(input, borders, -np.inf)
    places = [(..., *_base.tap_slices(tap, dilations, strides, counts)) for tap in itertools.product(range(kernel[0]))]
    hits = [(image[place] == top) | (np.isnan(image[place]) & np.isnan(top)) for place in places]
    share = grad_output / np.maximum(sum(hits), 1).astype(_base.wide(input.dtype))
    canvas = np.zeros(image.shape, share.dtype)
    for place, hit in zip(places, hits, strict=True):
        canvas[place] += np.where(hit, share, 0)
    return _base.crop(canvas, borders, size).astype(input.dtype)
