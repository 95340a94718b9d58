"""Uses the height of the window for its width and the other way round.
Class: pooling. Trigger: a window that is not square. Rarity: common.
Diagnosis: wrong axis.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    kernel_size = _base.per_axis(kernel_size, 2, "kernel_size")[::-1]
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
