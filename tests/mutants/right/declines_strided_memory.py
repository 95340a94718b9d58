"""Refuses operands whose memory is not in C order."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if not (input.flags.c_contiguous and weight.flags.c_contiguous):
        raise NotImplementedError("the operands must be C-contiguous")
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
