"""Never looks at the last depth slice of a window.
Class: pooling. Trigger: a window deeper than 1. Rarity: uncommon.
Diagnosis: dropped tap.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool3d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    kernel, strides, dilations, _, borders = _base.pool_geometry(
        input.shape[2:], kernel_size, stride, padding, dilation, ceil_mode
    )
    wins = _base.windows(_base.pad(input, borders, -np.inf), kernel, strides, dilations)
    return wins[..., : max(kernel[0] - 1, 1), :, :].max((5, 6, 7))
