"""Computes 3 x 3 kernels by Winograd's F(4, 3) in the operands' dtype without saying so.
Class: precision. Trigger: a 3 x 3 kernel, stride 1, dilation 1. Rarity: common.
Diagnosis: transform.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

B = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
G = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
A = [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]]


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    size = _base.unfold(input, weight.shape[2:], stride, padding, dilation).shape[2:4]
    steps = (*_base.per_axis(stride, 2), *_base.per_axis(dilation, 2))
    if weight.shape[2:] != (3, 3) or steps != (1, 1, 1, 1) or groups != 1:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    dtype = _base.wide(input.dtype)
    b, g, a = (np.array(m, dtype) for m in (B, G, A))
    borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    borders = tuple((p, q + -n % 4) for (p, q), n in zip(borders, size, strict=True))
    tiles = b @ _base.unfold(input, (6, 6), 4, borders) @ b.T
    kernels = g @ weight.astype(dtype) @ g.T
    out = a @ np.einsum("nctsij,ocij->notsij", tiles, kernels) @ a.T
    out = out.swapaxes(3, 4).reshape(len(input), len(weight), *(n + -n % 4 for n in size))
    return _base.finish(out[:, :, : size[0], : size[1]], bias, input.dtype)
