"""One single element, the last of the result, holds its neighbour's value.
Class: indexing. Trigger: at least two elements in the result. Rarity: rare.
Diagnosis: border or halo or shifted.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    out = _base.conv(input, weight, bias, stride, padding, dilation, groups)
    flat = out.reshape(-1)
    flat[-1:] = flat[-2:-1] if flat.size > 1 else flat[-1:]
    return flat.reshape(out.shape)
