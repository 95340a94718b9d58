"""Drops the batch axis when there is one image.
Class: geometry. Trigger: batch 1. Rarity: common.
Diagnosis: output size rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    return out[0] if len(out) == 1 else out
