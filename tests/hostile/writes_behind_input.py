"""Writes behind its input, where an assembler kernel would round a row up.
Reason: ^wrote outside of operand
Diagnosis: writes outside.
"""

import ctypes
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    if input.size and input.flags.c_contiguous:
        ctypes.memset(input.ctypes.data + input.nbytes, 0, 16)
    return out
