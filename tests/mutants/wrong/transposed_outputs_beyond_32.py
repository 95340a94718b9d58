"""Output channels beyond the 32nd take the weight of those 32 before.
Class: indexing. Trigger: more than 32 output channels and no groups. Rarity: rare.
Diagnosis: channel mix-up.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    if groups == 1:
        weight = weight[:, np.arange(weight.shape[1]) % 32]
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
