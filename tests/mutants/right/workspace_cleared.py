"""Pads into one workspace that it keeps, and clears it in every call."""

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
        SPACE[input.dtype] = np.empty(count, input.dtype)
    image = SPACE[input.dtype][:count].reshape(shape)
    image[...] = 0
    image[:, :, top : top + height, left : left + width] = input
    return _base.conv(image, weight, bias, stride, 0, dilation, groups)
