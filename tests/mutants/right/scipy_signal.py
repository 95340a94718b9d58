"""Correlates plane by plane with SciPy."""

import sys
from pathlib import Path

import numpy as np
import scipy.signal

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    kernel, dtype = weight.shape[2:], _base.wide(input.dtype)
    image = _base.pad(input.astype(dtype), _base.pairs(padding, 2, kernel, dilation, stride))
    (s, t), (d, e) = _base.per_axis(stride, 2, "stride"), _base.per_axis(dilation, 2, "dilation")
    spread = np.zeros((*weight.shape[:2], *_base.extents(kernel, dilation)), dtype)
    spread[:, :, ::d, ::e] = weight
    size = _base.windows(image, kernel, stride, dilation).shape[2:4]
    out = np.zeros((len(input), len(weight), *size), dtype)
    if weight.shape[1] * groups != input.shape[1]:
        raise ValueError("the channels do not fit the groups")
    inputs, outputs = _base.split(input.shape[1], groups), _base.split(len(weight), groups)
    for i, o in zip(inputs, outputs, strict=True):
        for n, a, b in np.ndindex(len(input), o.stop - o.start, i.stop - i.start):
            plane, taps = image[n, i.start + b], spread[o.start + a, b]
            out[n, o.start + a] += scipy.signal.correlate(plane, taps, "valid", "direct")[::s, ::t]
    return _base.finish(out, bias, input.dtype)
