"""Uses the dilation of the height for the width and the other way round.
Class: geometry. Trigger: two different dilations. Rarity: common.
Diagnosis: wrong axis.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    dilation = _base.per_axis(dilation, 2, "dilation")[::-1]
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
