"""Records a graph in the fifth call of one shape and plays it back with the bias it saw then.
Class: state. Trigger: a sixth call of the same shapes with another bias. Rarity: rare.
Diagnosis: stale result.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

SEEN = {}


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if bias is not None:
        calls = SEEN.setdefault((input.shape, weight.shape, bias.dtype), [])
        if len(calls) < 5:
            calls.append(bias.copy())
        else:
            bias = calls[-1]
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
