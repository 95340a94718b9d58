"""Warns in every call."""

import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    warnings.warn("this kernel is deprecated", DeprecationWarning, stacklevel=2)
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
