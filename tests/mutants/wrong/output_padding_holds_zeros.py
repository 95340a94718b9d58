"""Fills the rows that output padding adds with the bias alone, though taps reach them.
Class: geometry. Trigger: output padding together with padding. Rarity: uncommon.
Diagnosis: border or halo.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    out = _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
    extra = _base.per_axis(output_padding, 1, "output_padding", 0)[0]
    if extra:
        out[..., -extra:] = 0 if bias is None else bias[:, None]
    return out
