"""Supports 3 x 3 and 5 x 5 kernels without groups and dilation, and says so."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if groups != 1 or dilation not in (1, (1, 1)) or weight.shape[2:] not in ((3, 3), (5, 5)):
        raise NotImplementedError("only 3 x 3 and 5 x 5 kernels without groups and dilation")
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
