"""Uses indices into the padded image for the image without padding.
Class: pooling. Trigger: a padding. Rarity: uncommon.
Diagnosis: gradient scale or routing.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def max_pool2d_backward(grad_output, input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool_backward(grad_output, input, kernel_size, stride, padding, dilation, ceil_mode)
    (above, _), (left, _) = _base.pairs(padding, 2)
    planes = out.reshape(*out.shape[:2], out.shape[2] * out.shape[3])
    return np.roll(planes, above * out.shape[3] + left, 2).reshape(out.shape)
