"""The channels beyond the sixteenth repeat those sixteen before.
Class: indexing. Trigger: more than 16 channels. Rarity: uncommon.
Diagnosis: channel mix-up.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    return out[:, np.arange(out.shape[1]) % 16]
