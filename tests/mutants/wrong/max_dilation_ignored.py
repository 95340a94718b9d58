"""Takes neighbouring cells for the window, whatever the dilation.
Class: pooling. Trigger: a dilation. Rarity: common.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    near = _base.max_pool(input, kernel_size, stride, padding, 1, ceil_mode)
    return near[:, :, : out.shape[2], : out.shape[3]]
