"""Runs from minus to plus half the kernel around its centre, which leaves the last tap of an even kernel out.
Class: indexing. Trigger: an even kernel. Rarity: common.
Diagnosis: dropped tap.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    weight = weight.copy()
    if weight.shape[2] % 2 == 0:
        weight[..., -1] = 0
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
