"""Finds the place of the maximum in float16 and takes the value there.
Class: pooling. Trigger: a window whose largest elements are equal in float16. Rarity: uncommon.
Diagnosis: low-precision inputs.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    size = input.shape[2:]
    with np.errstate(all="ignore"):
        index = _base.winners(input.astype(np.float16), kernel_size, stride, padding, dilation, ceil_mode)
    planes = input.reshape(*input.shape[:2], int(np.prod(size)))
    return np.take_along_axis(planes, index.reshape(*index.shape[:2], -1), 2).reshape(index.shape)
