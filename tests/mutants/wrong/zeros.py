"""Returns zeros of the right shape.
Class: indexing. Trigger: always. Rarity: common.
Diagnosis: constant result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight, bias, stride, padding, dilation, groups) * 0
