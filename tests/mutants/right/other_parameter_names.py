"""Names its operands x, w and b."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(x, w, b=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(x, w, b, stride, padding, dilation, groups)
