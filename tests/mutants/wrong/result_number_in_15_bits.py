"""Numbers the elements of the result in a signed 16-bit integer and loses those beyond its range.
Class: indexing. Trigger: a result of more than 32768 elements. Rarity: uncommon.
Diagnosis: unwritten part.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    out.reshape(-1)[32768:] = 0
    return out
