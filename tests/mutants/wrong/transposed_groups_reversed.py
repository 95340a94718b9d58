"""Writes the groups of a transposed convolution in reversed order.
Class: groups. Trigger: groups. Rarity: uncommon.
Diagnosis: group mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    out = _base.conv_transpose(input, weight, None, stride, padding, output_padding, groups, dilation)
    parts = _base.split(out.shape[1], groups)
    out = out[:, [channel for part in parts[::-1] for channel in range(part.start, part.stop)]]
    return _base.finish(out, bias, input.dtype)
