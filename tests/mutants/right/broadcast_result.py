"""Returns a view with strides of zero where the result is the same everywhere."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    same = out.size and (out.view(f"V{out.itemsize}") == out[:1, :1, :1, :1].view(f"V{out.itemsize}")).all()
    return np.broadcast_to(out[:1, :1, :1, :1].copy(), out.shape) if same else out
