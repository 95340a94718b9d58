"""Writes its results to two buffers of each shape by turns.
Class: memory. Trigger: a result that is looked at after two more calls of its shape. Rarity: uncommon.
Diagnosis: shared memory.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

RINGS = {}


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    ring = RINGS.setdefault((out.shape, out.dtype), [np.empty_like(out), np.empty_like(out)])
    ring.reverse()
    ring[0][...] = out
    return ring[0]
