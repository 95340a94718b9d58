"""Takes the input's memory for C order, whatever its strides.
Class: memory. Trigger: an input whose memory is not in C order. Rarity: common.
Diagnosis: memory layout ignored.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    input = input.ravel(order="K").reshape(input.shape)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
