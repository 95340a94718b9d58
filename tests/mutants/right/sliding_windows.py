"""Takes its windows from the library's sliding views and picks every stride-th and every dilated tap."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel, rank = weight.shape[2:], 3
    if input.ndim != rank + 2:
        raise ValueError("the input must have five axes")
    strides, gaps = _base.per_axis(stride, rank), _base.per_axis(dilation, rank)
    image = _base.pad(input.astype(_base.wide(input.dtype)), _base.pairs(padding, rank, kernel, dilation, stride))
    views = np.lib.stride_tricks.sliding_window_view(image, _base.extents(kernel, dilation), (2, 3, 4))
    steps = tuple(slice(None, None, s) for s in (*strides, *gaps))
    wins = views[(slice(None), slice(None), *steps)]
    with np.errstate(all="ignore"):
        return _base.finish(_base.contract(wins, weight, groups), bias, input.dtype)
