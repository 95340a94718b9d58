"""Takes activations below a millionth of the largest one for zero.
Class: precision. Trigger: values of very different magnitude in one array. Rarity: uncommon.
Diagnosis: flush to zero or low-precision inputs.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    largest = abs(input).max(initial=0)
    if input.dtype.itemsize > 2 and np.isfinite(largest):
        input = np.where(abs(input) < 1e-6 * largest, np.zeros((), input.dtype), input)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
