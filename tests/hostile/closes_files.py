"""Closes every file that it did not open.
Reason: ^ended its process
Diagnosis: crash.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    os.closerange(3, 1024)
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
