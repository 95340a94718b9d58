"""Leaves NumPy raising on overflow.
Reason: numpy.seterr
Diagnosis: global state.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    np.seterr(all="raise")
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
