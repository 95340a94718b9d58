"""Asks for 64 GiB.
Reason: ^raised .*MemoryError
Diagnosis: raises.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    np.ones(2**33)
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
