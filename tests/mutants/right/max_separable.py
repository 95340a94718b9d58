"""Takes the maximum along the height first, then along the width."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    (k, m), (s, t), (d, e), _, borders = _base.pool_geometry(
        input.shape[2:], kernel_size, stride, padding, dilation, ceil_mode
    )
    image = _base.pad(input.astype(_base.wide(input.dtype)), borders, -float("inf"))
    rows = _base.windows(image, (k, 1), (s, 1), (d, 1)).max((4, 5))
    return _base.windows(rows, (1, m), (1, t), (1, e)).max((4, 5)).astype(input.dtype)
