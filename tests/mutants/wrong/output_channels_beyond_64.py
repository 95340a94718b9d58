"""The output channels beyond the 64th repeat the first ones.
Class: indexing. Trigger: more than 64 output channels. Rarity: rare.
Diagnosis: channel mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    out[:, 64:128] = out[:, : max(0, min(64, out.shape[1] - 64))]
    return out
