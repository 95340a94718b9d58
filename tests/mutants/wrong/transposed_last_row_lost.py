"""Never spreads the last input row.
Class: indexing. Trigger: always. Rarity: uncommon.
Diagnosis: border or halo.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    input = input.copy()
    input[:, :, :, -1] = 0
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
