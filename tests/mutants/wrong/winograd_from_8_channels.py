"""Computes 3 x 3 kernels by Winograd's F(2, 3) where channels fill blocks of eight, without saying so.
Class: precision. Trigger: a 3 x 3 kernel without stride and dilation, at least 8 channels in and out. Rarity: uncommon.
Diagnosis: transform.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

B = [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]]
G = [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]]
A = [[1, 1, 1, 0], [0, 1, -1, -1]]


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    size = _base.unfold(input, weight.shape[2:], stride, padding, dilation).shape[2:4]
    steps = (*_base.per_axis(stride, 2), *_base.per_axis(dilation, 2))
    few = min(weight.shape[:2]) < 8
    if weight.shape[2:] != (3, 3) or steps != (1, 1, 1, 1) or groups != 1 or few:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    dtype = _base.wide(input.dtype)
    b, g, a = (np.array(m, dtype) for m in (B, G, A))
    borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    borders = tuple((p, q + n % 2) for (p, q), n in zip(borders, size, strict=True))
    tiles = b @ _base.unfold(input, (4, 4), 2, borders) @ b.T
    kernels = g @ weight.astype(dtype) @ g.T
    with np.errstate(all="ignore"):
        out = a @ np.einsum("nctsij,ocij->notsij", tiles, kernels) @ a.T
    out = out.swapaxes(3, 4).reshape(len(input), len(weight), *(n + n % 2 for n in size))
    return _base.finish(out[:, :, : size[0], : size[1]], bias, input.dtype)
