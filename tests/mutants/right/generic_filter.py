"""Slides a general filter over every plane that takes the maximum of its footprint."""

import sys
from pathlib import Path

import numpy as np
import scipy.ndimage

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    kernel, strides, steps, counts, borders = _base.pool_geometry(
        input.shape[2:], kernel_size, stride, padding, dilation, ceil_mode
    )
    image = _base.pad(input.astype(_base.wide(input.dtype)), borders, -np.inf)
    footprint = np.zeros(_base.extents(kernel, steps), bool)
    footprint[:: steps[0], :: steps[1]] = True
    places = tuple(
        slice(e // 2, e // 2 + (n - 1) * s + 1, s) for e, n, s in zip(footprint.shape, counts, strides, strict=True)
    )
    out = np.empty((*input.shape[:2], *counts), input.dtype)
    for plane in np.ndindex(*input.shape[:2]):
        filtered = scipy.ndimage.generic_filter(image[plane], np.max, footprint=footprint, mode="constant")
        out[plane] = filtered[places].astype(input.dtype)
    return out
