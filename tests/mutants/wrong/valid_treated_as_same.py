"""Pads although the padding is "valid".
Class: geometry. Trigger: padding "valid" with a kernel above 1. Rarity: uncommon.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if padding == "valid":
        padding = tuple(d * (k - 1) // 2 for k, d in zip(weight.shape[2:], _base.per_axis(dilation, 2), strict=True))
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
