"""The columns beyond the 64th repeat the first ones.
Class: indexing. Trigger: more than 64 output columns. Rarity: uncommon.
Diagnosis: shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    out = _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
    out[..., 64:128] = out[..., : max(0, min(64, out.shape[3] - 64))].copy()
    return out
