"""Uses the first group's weight for every group.
Class: groups. Trigger: groups. Rarity: common.
Diagnosis: group mix-up.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    parts = _base.split(input.shape[1], groups)
    weight = np.concatenate([weight[parts[0]]] * groups)
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
