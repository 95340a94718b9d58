"""Adds the bias twice.
Class: bias. Trigger: a bias. Rarity: common.
Diagnosis: bias.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight, bias if bias is None else bias + bias, stride, padding, dilation, groups)
