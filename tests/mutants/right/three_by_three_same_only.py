"""Knows 3 x 3 kernels that keep the size of the image, and nothing else."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    steps = (*_base.per_axis(stride, 2), *_base.per_axis(dilation, 2))
    if weight.shape[2:] != (3, 3) or borders != ((1, 1), (1, 1)) or steps != (1, 1, 1, 1) or groups != 1:
        raise NotImplementedError("only 3 x 3 kernels with a padding of 1")
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
