"""Every group from the third on reads the input of the second.
Class: groups. Trigger: more than 2 groups. Rarity: uncommon.
Diagnosis: group mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    parts = _base.split(input.shape[1], groups)
    input = input.copy()
    for part in parts[2:]:
        input[:, part] = input[:, parts[1]]
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
