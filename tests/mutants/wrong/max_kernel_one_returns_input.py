"""Hands its own input back where every window is one cell and every stride 1.
Class: memory. Trigger: a window of one cell and stride 1. Rarity: uncommon.
Diagnosis: shared memory.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    kernel = _base.per_axis(kernel_size, 2)
    return input if kernel == (1, 1) and out.shape == input.shape else out
