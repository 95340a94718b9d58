"""Computes columns in pairs and forgets the single one at the end of an odd width.
Class: indexing. Trigger: an odd input width. Rarity: common.
Diagnosis: unwritten part or border or halo.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    if input.shape[3] % 2:
        out[..., -1] = 0
    return out
