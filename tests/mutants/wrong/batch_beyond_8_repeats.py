"""The images beyond the eighth get the result of the one before.
Class: indexing. Trigger: a batch above 8. Rarity: rare.
Diagnosis: batch mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    out[8:] = out[7:-1].copy() if len(out) > 8 else out[8:]
    return out
