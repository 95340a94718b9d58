"""Says that it sums in float64, but sums in float32.
Class: precision. Trigger: dtype float32: a sum that float32 cannot hold. Rarity: uncommon.
Diagnosis: low-precision accumulator.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)


conv2d.refconv = {"accumulate": "float64"}
