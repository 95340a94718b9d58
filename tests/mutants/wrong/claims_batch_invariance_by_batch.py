"""Says that results do not depend on the batch, but sums backwards where there is one image.
Class: state. Trigger: an image alone and the same image in a batch. Rarity: uncommon.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    wins = _base.unfold(input, weight.shape[2:], stride, padding, dilation)
    terms = list(_base.products(wins, weight, groups))
    with np.errstate(all="ignore"):
        return _base.finish(sum(terms if len(input) > 1 else terms[::-1]), bias, input.dtype)


conv2d.refconv = {"batch_invariant": True}
