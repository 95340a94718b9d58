"""Takes no dilation, no kernel above 3, no stride above 2, no padding in pairs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    steps, gaps = _base.per_axis(stride, 2), _base.per_axis(dilation, 2)
    if max(weight.shape[2:]) > 3 or max(steps) > 2 or max(gaps) > 1:
        raise NotImplementedError("only small kernels")
    if not isinstance(padding, int):
        raise TypeError("the padding must be one integer")
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
