"""Pools images in pairs and forgets the single one at the end of an odd batch.
Class: indexing. Trigger: an odd batch above 1. Rarity: uncommon.
Diagnosis: unwritten part or batch mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    out = _base.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
    if len(out) > 1 and len(out) % 2:
        out[-1] = 0
    return out
