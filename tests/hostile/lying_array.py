"""Returns an array that says another shape than it has.
Reason: has shape|^ended its process|outside the allowed
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


class Liar(np.ndarray):
    @property
    def shape(self):
        return (*np.ndarray.shape.__get__(self)[:-1], np.ndarray.shape.__get__(self)[-1] + 1)


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)[..., :-1].view(Liar)
