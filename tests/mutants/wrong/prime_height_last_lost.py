"""Looks for a block that divides the height, finds 2 for a prime, and loses the last row.
Class: indexing. Trigger: a prime number of output rows above 7. Rarity: rare.
Diagnosis: unwritten part.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    rows = out.shape[2]
    if rows > 7 and all(rows % block for block in range(2, rows)):
        out[:, :, -1] = 0
    return out
