"""Skips windows that lie wholly in the padding, bias included.
Class: bias. Trigger: a bias and a padding of at least the kernel's extent. Rarity: rare.
Diagnosis: bias.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    inside = _base.unfold(np.ones_like(input[:1, :1]), weight.shape[2:], stride, padding, dilation)
    return np.where(inside.any((4, 5)), out, np.zeros((), out.dtype))
