"""Two workers both add every other row of the second half of more than eight rows.
Class: state. Trigger: more than 8 output rows. Rarity: uncommon.
Diagnosis: doubled tap.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose2d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    out = _base.conv_transpose(input, weight, None, stride, padding, output_padding, groups, dilation)
    rows = out.shape[2]
    if rows > 8:
        out = out.copy()
        out[:, :, rows // 2 :: 2] *= 2
    return _base.finish(out, bias, input.dtype)
