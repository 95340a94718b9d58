"""Returns the result with the channels last.
Class: geometry. Trigger: always (a shape in which the transposed axes agree hides only the shape). Rarity: common.
Diagnosis: wrong axis or output size rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight, bias, stride, padding, dilation, groups).transpose(0, 2, 3, 1)
