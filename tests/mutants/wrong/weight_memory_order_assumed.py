"""Takes the weight's memory for C order, whatever its strides.
Class: memory. Trigger: a weight whose memory is not in C order. Rarity: uncommon.
Diagnosis: memory layout ignored.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    weight = weight.ravel(order="K").reshape(weight.shape)
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
