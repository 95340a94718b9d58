"""Leaves the order of summation to einsum."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    inputs, outputs = _base.split(input.shape[1], groups), _base.split(len(weight), groups)
    if input.shape[1] != weight.shape[1] * groups:
        raise ValueError("the channels do not belong together")
    with np.errstate(all="ignore"):
        parts = [
            np.einsum("ncxyzijk,ocijk->noxyz", wins[:, i], weight[o].astype(wins.dtype), optimize=True)
            for i, o in zip(inputs, outputs, strict=True)
        ]
        return _base.finish(np.concatenate(parts, axis=1), bias, input.dtype)
