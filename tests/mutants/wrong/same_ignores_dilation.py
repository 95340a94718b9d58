"""Computes "same" padding from the kernel without its dilation.
Class: geometry. Trigger: padding "same" with a dilation. Rarity: common.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if padding == "same":
        padding = _base.pairs(padding, 1, weight.shape[2:], 1, stride)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
