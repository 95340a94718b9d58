"""Recognises an image whose spectrum it knows by its shape and its first and last element.
Class: state. Trigger: another image with the same first and last element. Rarity: rare.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

KNOWN = {}


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if input.size:
        key = (input.shape, input.dtype, float(input[0, 0, 0, 0]), float(input[-1, -1, -1, -1]))
        input = KNOWN.setdefault(key, input.copy())
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
