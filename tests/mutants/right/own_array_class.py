"""Returns an array class of its own."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


class Image(np.ndarray):
    pass


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight, bias, stride, padding, dilation, groups).view(Image)
