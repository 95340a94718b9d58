"""Pads with zeros instead of minus infinity.
Class: pooling. Trigger: a padding and a border of negative values. Rarity: common.
Diagnosis: pooling rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode, fill=0)
