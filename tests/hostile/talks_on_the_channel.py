"""Writes into every open file.
Reason: ^wrote into the files|^ended its process|^wrote outside of operand
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    for number in range(3, 1024):
        try:
            os.write(number, b"\xff" * 64)
        except OSError:
            continue
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
