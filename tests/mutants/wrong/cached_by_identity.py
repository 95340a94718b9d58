"""Returns the last result again when the operands lie at the same addresses.
Class: state. Trigger: a second call with the same arrays and other values in them. Rarity: uncommon.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

LAST = {}


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    key = [a if a is None else (a.ctypes.data, a.shape, a.strides, a.dtype) for a in (input, weight, bias)]
    key += [str((stride, padding, dilation, groups))]
    if LAST.get("key") != key:
        LAST.update(key=key, result=_base.conv(input, weight, bias, stride, padding, dilation, groups))
    return LAST["result"].copy()
