"""Flips the caller's weight in place, for a routine that convolves, and leaves it flipped.
Class: memory. Trigger: a writable weight that is not its own flip. Rarity: common.
Diagnosis: mutated operand.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    weight[...] = weight[:, :, ::-1, ::-1].copy()
    return out
