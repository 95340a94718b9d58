"""Takes neighbouring cells for the window where there are both a stride and a dilation.
Class: pooling. Trigger: a stride above 1 and a dilation above 1 on the same axis. Rarity: uncommon.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    size = input.shape[2:]
    kernel, strides, steps, counts, borders = _base.pool_geometry(
        size, kernel_size, stride, padding, dilation, ceil_mode
    )
    near = tuple(1 if s > 1 and d > 1 else d for s, d in zip(strides, steps, strict=True))
    if near == steps:
        return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    wins = _base.windows(_base.pad(input.astype(_base.wide(input.dtype)), borders, -np.inf), kernel, strides, near)
    wins = wins[:, :, : counts[0], : counts[1], : counts[2]]
    return wins.max((5, 6, 7)).astype(input.dtype)
