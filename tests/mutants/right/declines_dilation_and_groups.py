"""Has neither dilation nor groups, and says so with an error of its own."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


class Unsupported(RuntimeError):
    pass


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if groups != 1 or set(_base.per_axis(dilation, 3)) != {1}:
        raise Unsupported("neither dilation nor groups are supported")
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
