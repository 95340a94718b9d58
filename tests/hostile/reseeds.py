"""Seeds the global random generators.
Reason: the state of `(numpy.)?random` was changed
Diagnosis: global state.
"""

import random
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    random.seed(0)
    np.random.seed(0)  # noqa: NPY002 (the fault)
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
