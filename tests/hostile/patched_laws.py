"""Replaces the judge and the bounds wherever they can be imported, and returns zeros.
Reason: outside the allowed error
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base

import refconv.bound
import refconv.judge

refconv.judge.within = lambda *given: 0.0
refconv.judge.form = lambda *given: None
refconv.bound.allowed = lambda case, *given: dict.fromkeys(case.shapes, float("inf"))


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    return 0 * _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
