"""The rows from the seventeenth on repeat the sixteenth.
Class: indexing. Trigger: more than 16 output rows. Rarity: uncommon.
Diagnosis: shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    out[:, :, 16:] = out[:, :, 15:16]
    return out
