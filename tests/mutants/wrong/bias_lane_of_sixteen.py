"""Loads sixteen biases and uses them again for the channels beyond.
Class: bias. Trigger: a bias and more than 16 output channels. Rarity: rare.
Diagnosis: bias.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    bias = bias if bias is None else bias[np.arange(len(bias)) % 16]
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
