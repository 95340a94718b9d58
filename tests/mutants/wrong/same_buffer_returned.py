"""Returns the same buffer for every call of one shape.
Class: memory. Trigger: an earlier result that is looked at after a second call. Rarity: common.
Diagnosis: shared memory.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

BUFFERS = {}


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    buffer = BUFFERS.setdefault((out.shape, out.dtype), out)
    buffer[...] = out
    return buffer
