"""Takes results below 1e-12 for zero.
Class: precision. Trigger: results below 1e-12. Rarity: uncommon.
Diagnosis: flush to zero or low-precision output.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    out = _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
    return np.where(abs(out) < 1e-12, np.zeros((), out.dtype), out)
