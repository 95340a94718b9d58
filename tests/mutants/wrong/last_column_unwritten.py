"""Leaves the last column as it was in the recycled memory.
Class: indexing. Trigger: always. Rarity: common.
Diagnosis: unwritten part or stale result.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    recycled = np.resize(input, out.shape).astype(out.dtype)
    recycled[..., :-1] = out[..., :-1]
    return recycled
