"""Does not clear the accumulator between the images of a batch.
Class: indexing. Trigger: a batch above 1. Rarity: common.
Diagnosis: batch mix-up.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.contract(_base.unfold(input, weight.shape[2:], stride, padding, dilation), weight, groups)
    return _base.finish(out.cumsum(0), bias, input.dtype)
