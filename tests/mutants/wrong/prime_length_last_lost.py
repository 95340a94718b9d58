"""Looks for a block that divides the length, finds 2 for a prime, and loses the last output.
Class: indexing. Trigger: a prime number of outputs above 7. Rarity: uncommon.
Diagnosis: unwritten part.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    size = out.shape[2]
    if size > 7 and all(size % block for block in range(2, size)):
        out[..., -1] = 0
    return out
