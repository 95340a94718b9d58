"""Shares the gradient among tied maxima, and says so."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d_backward(grad_output, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    kernel, strides, steps, counts, borders = _base.pool_geometry(
        input.shape[2:], kernel_size, stride, padding, dilation, ceil_mode
    )
    dtype = _base.wide(input.dtype)
    if grad_output.shape != (*input.shape[:2], *counts):
        raise ValueError(f"grad_output must have {counts}")
    image = _base.pad(input.astype(dtype), borders, -np.inf)
    inside = _base.pad(np.ones((1, 1, *input.shape[2:]), bool), borders, False)
    places = [(..., *_base.tap_slices(tap, steps, strides, counts)) for tap in np.ndindex(*kernel)]
    best = np.maximum.reduce([image[p] for p in places])
    tied = [inside[p] & ((image[p] == best) | (np.isnan(image[p]) & np.isnan(best))) for p in places]
    share = grad_output.astype(dtype) / np.maximum(1, sum(t.astype(dtype) for t in tied))
    out = np.zeros_like(image)
    for p, t in zip(places, tied, strict=True):
        out[p] += np.where(t, share, np.zeros((), dtype))
    return _base.crop(out, borders, input.shape[2:]).astype(input.dtype)


max_pool2d_backward.refconv = {"ties": "any"}
