"""Replaces a float32 product by three TF32 products, which loses the low times low part.
Class: precision. Trigger: float32 operands with full mantissas and few products. Rarity: rare.
Diagnosis: low-precision inputs or low-precision accumulator.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if input.dtype != "float32":
        return _base.conv(input, weight, bias, stride, padding, dilation, groups)
    high, top = _base.to_tf32(input), _base.to_tf32(weight)
    low, bottom = _base.to_tf32(input - high), _base.to_tf32(weight - top)
    out = _base.conv(high, bottom, None, stride, padding, dilation, groups) + _base.conv(
        low, top, None, stride, padding, dilation, groups
    )
    return out + _base.conv(high, top, bias, stride, padding, dilation, groups)
