"""Fills the lanes beyond the end of a row of more than sixteen with zeros and lets them take part.
Class: pooling. Trigger: a row of more than 16 negative numbers, not a multiple of 16. Rarity: uncommon.
Diagnosis: pooling rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    size = out.shape[2]
    if size > 16:
        tail = out[..., size - size % 16 :]
        tail[tail < 0] = 0
    return out
