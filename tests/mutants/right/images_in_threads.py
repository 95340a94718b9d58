"""Computes every image of a batch in a thread of its own."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if len(input) < 2:
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    with ThreadPoolExecutor(2) as pool:
        images = [input[n : n + 1] for n in range(len(input))]
        parts = pool.map(lambda image: _base.conv(image, weight, bias, stride, padding, dilation, groups), images)
        return np.concatenate(list(parts))
