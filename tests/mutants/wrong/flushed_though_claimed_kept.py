"""Flushes subnormal results to zero, but says that it keeps them.
Class: precision. Trigger: a subnormal result. Rarity: uncommon.
Diagnosis: flush to zero.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    if out.dtype not in (np.float32, np.float64):
        return out
    return np.where(abs(out) < np.finfo(out.dtype).tiny, np.zeros((), out.dtype), out)


conv1d.refconv = {"subnormals": "ieee"}
