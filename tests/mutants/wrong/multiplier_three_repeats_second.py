"""The third output of every channel of a depthwise convolution repeats the second.
Class: groups. Trigger: groups equal to the channels and a multiplier of 3. Rarity: rare.
Diagnosis: group mix-up or channel mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight = weight.copy()
    if 1 < groups == input.shape[1] and len(weight) == 3 * groups:
        weight[2::3] = weight[1::3]
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
