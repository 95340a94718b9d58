"""Pools sixteen images and leaves those beyond zero.
Class: indexing. Trigger: a batch above 16. Rarity: rare.
Diagnosis: unwritten part or batch mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    out[16:] = 0
    return out
