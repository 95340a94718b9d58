"""Writes the gradient where windows overlap instead of adding it.
Class: pooling. Trigger: overlapping windows. Rarity: common.
Diagnosis: overwrites.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool1d_backward(
    grad_output, input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    want = _base.avg_pool_backward(grad_output, input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    (k,), (s,), _, (count,), borders = _base.pool_geometry(input.shape[2:], kernel_size, stride, padding, 1, ceil_mode)
    cells = _base.divisors(input.shape[2:], (k,), (s,), padding, (count,), count_include_pad)
    out = np.zeros((*want.shape[:2], count * s + k + want.shape[2]), want.dtype)
    for i in range(count):
        out[..., i * s : i * s + k] = (grad_output / cells)[..., i : i + 1]
    return out[..., borders[0][0] :][..., : want.shape[2]]
