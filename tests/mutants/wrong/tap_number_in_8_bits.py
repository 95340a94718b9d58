"""Numbers the products of a sum in eight bits.
Class: indexing. Trigger: more than 256 products in a sum. Rarity: rare.
Diagnosis: dropped tap or doubled tap.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    number = np.arange(weight[0].size) % 256
    weight = weight.reshape(len(weight), -1)[:, number].reshape(weight.shape)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
