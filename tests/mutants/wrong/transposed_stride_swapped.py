"""Uses the strides of height and width the wrong way round.
Class: geometry. Trigger: two different strides. Rarity: common.
Diagnosis: wrong axis.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    stride = _base.per_axis(stride, 2, "stride")[::-1]
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
