"""Computes rows in blocks of four and leaves the remainder zero.
Class: indexing. Trigger: an output height that is not a multiple of 4. Rarity: common.
Diagnosis: unwritten part.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    rows = out.shape[2]
    out[:, :, rows - rows % 4 :] = 0
    return out
