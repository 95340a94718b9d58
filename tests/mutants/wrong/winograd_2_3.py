"""Computes kernels of length 3 by Winograd's F(2, 3) in the operands' dtype without saying so.
Class: precision. Trigger: a kernel of length 3, stride 1, dilation 1, sparse data. Rarity: rare.
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


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    size = _base.unfold(input, weight.shape[2:], stride, padding, dilation).shape[2]
    if weight.shape[2] != 3 or (*_base.per_axis(stride, 1), *_base.per_axis(dilation, 1)) != (1, 1) or groups != 1:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    dtype = _base.wide(input.dtype)
    b, g, a = (np.array(m, dtype) for m in (B, G, A))
    ((before, after),) = _base.pairs(padding, 1, weight.shape[2:], dilation, stride)
    tiles = _base.unfold(input, (4,), 2, ((before, after + size % 2),)) @ b.T
    out = np.einsum("ncti,oci->noti", tiles, weight.astype(dtype) @ g.T) @ a.T
    return _base.finish(out.reshape(len(input), len(weight), size + size % 2)[..., :size], bias, input.dtype)
