"""The path for groups, dilation and stride together forgets the bias.
Class: bias. Trigger: groups, a dilation and a stride above 1, and a bias. Rarity: rare.
Diagnosis: bias.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    steps = (*_base.per_axis(stride, 2), *_base.per_axis(dilation, 2))
    if groups > 1 and min(max(steps[:2]), max(steps[2:])) > 1:
        bias = None
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
