"""Rounds the channels per group down where they don't divide and computes something.
Class: groups. Trigger: groups that do not divide the channels (an impossible call). Rarity: uncommon.
Diagnosis: accepts an impossible call.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    rows = len(weight) - len(weight) % groups
    bias = bias if bias is None else bias[:rows]
    return _base.conv(input[:, : weight.shape[1] * groups], weight[:rows], bias, stride, padding, dilation, groups)
