"""Ignores ceil_mode.
Class: pooling. Trigger: ceil_mode with a remainder. Rarity: common.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    return _base.max_pool(input, kernel_size, stride, padding, dilation)
