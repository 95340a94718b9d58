"""Moves along the depth by the stride of the height.
Class: geometry. Trigger: different strides of depth and height. Rarity: common.
Diagnosis: wrong axis.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    stride = _base.per_axis(stride, 3, "stride")
    return _base.conv(input, weight, bias, (stride[1], *stride[1:]), padding, dilation, groups)
