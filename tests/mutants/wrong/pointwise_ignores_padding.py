"""The fast path for 1 x 1 kernels forgets the padding.
Class: geometry. Trigger: a 1 x 1 kernel with padding. Rarity: uncommon.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if weight.shape[2:] == (1, 1):
        padding = 0
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
