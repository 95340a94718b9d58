"""The last column holds the value of the column before it.
Class: indexing. Trigger: an output width of at least 2. Rarity: common.
Diagnosis: border or halo or shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    out[..., -1:] = out[..., -2:-1] if out.shape[3] > 1 else out[..., -1:]
    return out
