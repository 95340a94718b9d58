"""Never moves the window further than the kernel is wide.
Class: geometry. Trigger: a stride larger than the kernel. Rarity: uncommon.
Diagnosis: ignored argument.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    stride = min(_base.per_axis(stride, 1, "stride")[0], weight.shape[2])
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
