"""Computes each phase of the stride by itself and forgets the third.
Class: geometry. Trigger: a stride of 3. Rarity: uncommon.
Diagnosis: dropped tap or unwritten part.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose3d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    out = _base.conv_transpose(input, weight, None, stride, padding, output_padding, groups, dilation)
    ((before, _), *_) = _base.pairs(padding, 3)
    if _base.per_axis(stride, 3)[0] == 3:
        out = out.copy()
        out[:, :, (2 - before) % 3 :: 3] = 0
    return _base.finish(out, bias, input.dtype)
