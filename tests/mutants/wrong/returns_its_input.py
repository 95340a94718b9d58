"""Returns its own input for a window of one cell.
Class: memory. Trigger: a window of 1 and stride 1. Rarity: uncommon.
Diagnosis: shared memory.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    return input if out.shape == input.shape and kernel_size in (1, (1, 1)) else out
