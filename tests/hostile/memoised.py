"""Remembers the result of each shape.
Reason: outside the allowed error
Diagnosis: stale result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base

RESULTS = {}


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    key = (input.shape, str(kernel_size), str(stride), str(padding), str(dilation), ceil_mode, input.dtype)
    if key not in RESULTS:
        RESULTS[key] = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    return RESULTS[key].copy()
