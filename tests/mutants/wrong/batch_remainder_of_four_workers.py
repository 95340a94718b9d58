"""Deals more than 16 images out to four workers and forgets what is left over.
Class: indexing. Trigger: a batch above 16, not a multiple of 4. Rarity: rare.
Diagnosis: unwritten part or batch mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    out = _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
    if len(out) > 16:
        out[len(out) // 4 * 4 :] = 0
    return out
