"""Unrolls the taps by four and forgets the tail of a longer kernel.
Class: indexing. Trigger: a kernel longer than 4 whose length is not a multiple of 4. Rarity: uncommon.
Diagnosis: dropped tap.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    weight, taps = weight.copy(), weight.shape[2]
    if taps > 4:
        weight[..., taps - taps % 4 :] = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
