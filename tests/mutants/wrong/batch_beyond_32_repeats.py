"""The images beyond the 32nd get the results of those 32 before.
Class: indexing. Trigger: a batch above 32. Rarity: rare.
Diagnosis: batch mix-up.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    return out[np.arange(len(out)) % 32]
