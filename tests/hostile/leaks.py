"""Keeps 100 MB of every call.
Reason: MemoryError|^ended its process
Diagnosis: raises.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base

HOARD = []


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    HOARD.append(np.ones(100_000_000 // 8))
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
