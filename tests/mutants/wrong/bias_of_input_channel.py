"""Looks the bias up by a channel number that wraps at the input channels.
Class: bias. Trigger: a bias and more output than input channels. Rarity: uncommon.
Diagnosis: bias.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if bias is not None:
        bias = bias[np.arange(len(bias)) % input.shape[1]]
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
