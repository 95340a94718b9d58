"""Takes the first axis of the weight for the output channels when both axes have the same size.
Class: orientation. Trigger: as many input as output channels, more than 1, no groups. Rarity: uncommon.
Diagnosis: transposed kernel or channel mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    if groups == 1 and weight.shape[0] == weight.shape[1]:
        weight = weight.swapaxes(0, 1)
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
