"""Reads an axis with a negative stride forwards.
Class: memory. Trigger: an input with a negative stride. Rarity: rare.
Diagnosis: memory layout ignored.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    input = input[tuple(slice(None, None, -1 if step < 0 else 1) for step in input.strides)]
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
