"""Takes everything besides the operands by keyword only."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, *, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)


def avg_pool2d(input, *, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    return _base.avg_pool(input, kernel_size, stride, padding, ceil_mode, count_include_pad)
