"""Counts the padding, whatever count_include_pad says.
Class: pooling. Trigger: count_include_pad=False with a padding. Rarity: common.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    return _base.avg_pool(input, kernel_size, stride, padding, ceil_mode)
