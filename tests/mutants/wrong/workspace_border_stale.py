"""Pads into a workspace that it clears only when it has to grow.
Class: state. Trigger: a padded call after one of another shape. Rarity: uncommon.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

SPACE = {}


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    ((top, bottom), (left, right)) = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    batch, channels, height, width = input.shape
    shape = (batch, channels, top + height + bottom, left + width + right)
    count = int(np.prod(shape))
    if input.dtype not in SPACE or SPACE[input.dtype].size < count:
        SPACE[input.dtype] = np.zeros(count, input.dtype)
    image = SPACE[input.dtype][:count].reshape(shape)
    image[:, :, top : top + height, left : left + width] = input
    return _base.conv(image, weight, bias, stride, 0, dilation, groups)
