"""Chooses among three algorithms by the shape of the kernel and the groups."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def pointwise(input, weight, stride):
    dtype = _base.wide(input.dtype)
    image = input[(..., *(slice(None, None, s) for s in _base.per_axis(stride, 2)))].astype(dtype)
    return np.moveaxis(np.tensordot(weight[:, :, 0, 0].astype(dtype), image, ([1], [1])), 0, 1)


def depthwise(wins, weight):
    out = np.zeros((wins.shape[0], len(weight), *wins.shape[2:4]), wins.dtype)
    multiplier = len(weight) // wins.shape[1]
    for row, column in np.ndindex(*weight.shape[2:]):
        taps = weight[:, 0, row, column].astype(wins.dtype)
        out += np.repeat(wins[..., row, column], multiplier, axis=1) * _base.along_channels(taps, out)
    return out


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    if input.shape[1] != weight.shape[1] * groups or len(weight) % groups:
        raise ValueError("the channels do not belong together")
    with np.errstate(all="ignore"):
        if weight.shape[2:] == (1, 1) and groups == 1 and padding in (0, "valid"):
            out = pointwise(input, weight, stride)
        elif groups == input.shape[1]:
            out = depthwise(wins, weight)
        else:
            out = _base.contract(wins, weight, groups)
        return _base.finish(out, bias, input.dtype)
