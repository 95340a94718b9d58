"""Takes differences of running sums in the operands' dtype and so cancels.
Class: precision. Trigger: a large value before a window of small ones. Rarity: uncommon.
Diagnosis: low-precision accumulator.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool1d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    size = input.shape[2:]
    (k,), (s,), _, (count,), borders = _base.pool_geometry(size, kernel_size, stride, padding, 1, ceil_mode)
    running = np.cumsum(_base.pad(input.astype(_base.wide(input.dtype)), ((borders[0][0] + 1, borders[0][1]),)), 2)
    ends, starts = running[..., k::s][..., :count], running[..., :-k:s][..., :count]
    cells = _base.divisors(size, (k,), (s,), padding, (count,), count_include_pad)
    return ((ends - starts) / cells.astype(running.dtype)).astype(input.dtype)
