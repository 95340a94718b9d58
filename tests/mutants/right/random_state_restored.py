"""Uses NumPy's global random generator and puts its state back."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    state = np.random.get_state()  # noqa: NPY002 (what it is about)
    order = np.random.permutation(len(weight))  # noqa: NPY002 (what it is about)
    np.random.set_state(state)  # noqa: NPY002 (what it is about)
    if groups != 1:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    out = _base.conv(input, weight[order], bias if bias is None else bias[order], stride, padding, dilation, groups)
    return out[:, np.argsort(order)]
