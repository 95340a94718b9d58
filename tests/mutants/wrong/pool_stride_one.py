"""Takes 1 for the stride when none is given.
Class: pooling. Trigger: no stride and a window above 1. Rarity: common.
Diagnosis: ignored argument or pooling rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    stride = 1 if stride is None else stride
    return _base.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
