"""Handles one block of 32 rows and leaves every row beyond it zero.
Class: indexing. Trigger: more than 32 output rows. Rarity: uncommon.
Diagnosis: unwritten part.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    out = _base.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    out[:, :, 32:] = 0
    return out
