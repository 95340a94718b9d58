"""Writes its results to four buffers of each shape in turn.
Class: memory. Trigger: a result that is looked at after four more calls of its shape. Rarity: rare.
Diagnosis: shared memory.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

RINGS = {}


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    ring = RINGS.setdefault((out.shape, out.dtype), [np.empty_like(out) for _ in range(4)])
    ring.append(ring.pop(0))
    ring[0][...] = out
    return ring[0]
