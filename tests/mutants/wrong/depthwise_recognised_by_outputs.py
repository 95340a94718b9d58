"""Takes the depthwise path where groups equal the outputs, and reads the first channel of each group only.
Class: groups. Trigger: groups equal to the output channels and several input channels in each. Rarity: uncommon.
Diagnosis: channel mix-up or group mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if 1 < groups == len(weight):
        weight = weight.copy()
        weight[:, 1:] = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
