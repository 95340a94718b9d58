"""Multiplies what lies behind the input in memory by zero instead of skipping it.
Class: memory. Trigger: an operand inside a larger buffer that holds NaN or infinity behind it. Rarity: rare.
Diagnosis: reads outside.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    if out.size:
        out[-1, :, -1] += (0 * _base.behind(input, 4)).sum().astype(out.dtype)
    return out
