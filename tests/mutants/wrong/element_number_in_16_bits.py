"""Numbers the elements of the input in sixteen bits.
Class: indexing. Trigger: an input of more than 65536 elements. Rarity: uncommon.
Diagnosis: unknown.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if input.size > 65536:
        input = input.reshape(-1)[np.arange(input.size) % 65536].reshape(input.shape)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
