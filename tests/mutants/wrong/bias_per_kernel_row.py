"""Adds the bias once for each row of the kernel.
Class: bias. Trigger: a bias and a kernel higher than 1. Rarity: uncommon.
Diagnosis: bias.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(
        input, weight, bias if bias is None else bias * weight.shape[2], stride, padding, dilation, groups
    )
