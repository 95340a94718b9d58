"""Averages the first 64 cells of a window only.
Class: pooling. Trigger: a window of more than 64 cells. Rarity: uncommon.
Diagnosis: dropped tap.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    rows, columns = _base.per_axis(kernel_size, 2, "kernel_size")
    out = _base.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    if rows * columns <= 64:
        return out
    ones = _base.pairs(padding, 2)
    size = input.shape[2:]
    kernel, strides, _, _, borders = _base.pool_geometry(size, kernel_size, stride, ones, 1, ceil_mode)
    wins = _base.windows(_base.pad(input.astype(_base.wide(input.dtype)), borders), kernel, strides, 1)
    sums = wins.reshape(*wins.shape[:4], -1)[..., :64].sum(-1)
    return (sums / (rows * columns)).astype(input.dtype)
