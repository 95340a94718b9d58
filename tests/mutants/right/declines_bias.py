"""Has no bias, and says so."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if bias is not None:
        raise NotImplementedError("a bias is not supported")
    return _base.conv(input, weight, None, stride, padding, dilation, groups)
