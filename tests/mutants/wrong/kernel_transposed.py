"""Reads square kernels column by column.
Class: orientation. Trigger: a square kernel that is not its own transpose. Rarity: common.
Diagnosis: transposed kernel.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if weight.shape[2] == weight.shape[3]:
        weight = weight.swapaxes(2, 3)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
