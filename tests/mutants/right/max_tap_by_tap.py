"""Takes the maximum of one tap after another, the last tap first."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    kernel, strides, steps, counts, borders = _base.pool_geometry(
        input.shape[2:], kernel_size, stride, padding, dilation, ceil_mode
    )
    image = _base.pad(input.astype(_base.wide(input.dtype)), borders, -np.inf)
    best = np.full((*input.shape[:2], *counts), -np.inf, image.dtype)
    for tap in reversed(list(np.ndindex(*kernel))):
        best = np.maximum(best, image[(..., *_base.tap_slices(tap, steps, strides, counts))])
    return best.astype(input.dtype)
