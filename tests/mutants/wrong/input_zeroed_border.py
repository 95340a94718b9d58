"""Sets the caller's last input column to zero.
Class: memory. Trigger: a writable input. Rarity: uncommon.
Diagnosis: mutated operand.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    if input.flags.writeable:
        input[..., -1:] = 0
    return out
