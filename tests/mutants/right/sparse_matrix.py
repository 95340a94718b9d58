"""Multiplies the image by a sparse matrix that has one row for each output."""

import sys
from pathlib import Path

import numpy as np
import scipy.sparse

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    inputs, outputs = _base.split(input.shape[1], groups), _base.split(len(weight), groups)
    if input.shape[1] != weight.shape[1] * groups:
        raise ValueError("the channels do not belong together")
    ((before, after),) = _base.pairs(padding, 1, weight.shape[2:], dilation, stride)
    (step,), (gap,), count = _base.per_axis(stride, 1), _base.per_axis(dilation, 1), wins.shape[2]
    length, size = input.shape[2] + before + after, weight.shape[1] * weight.shape[2]
    image = _base.pad(input.astype(wins.dtype), ((before, after),))
    out = np.empty((len(input), len(weight), count), wins.dtype)
    channel, tap = np.divmod(np.arange(size), weight.shape[2])
    columns = (channel * length + tap * gap)[None, :] + np.arange(count)[:, None] * step
    for i, o in zip(inputs, outputs, strict=True):
        for kernel in range(o.start, o.stop):
            values = np.tile(weight[kernel].astype(wins.dtype).ravel(), count)
            place = (values, columns.ravel(), np.arange(0, size * count + 1, size))
            matrix = scipy.sparse.csr_matrix(place, shape=(count, weight.shape[1] * length))
            for n in range(len(input)):
                out[n, kernel] = matrix @ image[n, i].ravel()
    with np.errstate(all="ignore"):
        return _base.finish(out, bias, input.dtype)
