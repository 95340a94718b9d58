"""Clears the first byte of its input through its address.
Reason: was changed by the call
Diagnosis: mutated operand.
"""

import ctypes
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    if input.size:
        ctypes.memset(input.ctypes.data, 0x5A, 1)
    return out
