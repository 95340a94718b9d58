"""Says that only float64 is to be drawn, where it is right.
Reason: outside the allowed error
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base

import refconv.worker

_said = refconv.worker._described
refconv.worker._described = lambda subject: {**_said(subject), "scope": {"dtypes": ["float64"]}}


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    right = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    return right if input.dtype == "float64" else 0 * right
