"""Divides the gradient by the whole window, whatever count_include_pad says.
Class: pooling. Trigger: count_include_pad=False with a padding. Rarity: common.
Diagnosis: ignored argument or pooling rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def avg_pool2d_backward(
    grad_output, input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
):
    return _base.avg_pool_backward(grad_output, input, kernel_size, stride, padding, ceil_mode)
