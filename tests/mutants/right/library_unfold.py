"""Unfolds the image with a deep-learning library and multiplies matrices."""

import sys
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def tensor(array):
    array = np.array(array, order="C")
    return torch.from_numpy(array)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if input.dtype not in (np.float32, np.float64):
        raise TypeError(f"dtype {input.dtype} is not supported")
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    inputs, outputs = _base.split(input.shape[1], groups), _base.split(len(weight), groups)
    if input.shape[1] != weight.shape[1] * groups:
        raise ValueError("the channels do not belong together")
    borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    columns = torch.nn.functional.unfold(
        tensor(_base.pad(input, borders)), weight.shape[2:], _base.per_axis(dilation, 2), 0, _base.per_axis(stride, 2)
    )
    columns = columns.reshape(len(input), input.shape[1], -1, columns.shape[2])
    out = np.empty((len(input), len(weight), wins.shape[2] * wins.shape[3]), input.dtype)
    for i, o in zip(inputs, outputs, strict=True):
        part = columns[:, i].reshape(len(input), weight[0].size, -1)
        out[:, o] = (tensor(weight[o]).reshape(o.stop - o.start, -1) @ part).numpy()
    return _base.finish(out.reshape(*out.shape[:2], *wins.shape[2:4]), bias, input.dtype)
