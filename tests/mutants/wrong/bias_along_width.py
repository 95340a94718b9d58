"""Adds the bias along the width when it has the width's length.
Class: bias. Trigger: a bias and as many output columns as channels. Rarity: uncommon.
Diagnosis: bias.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, None, stride, padding, dilation, groups)
    if bias is not None and out.shape[3] == len(bias):
        return out + bias
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
