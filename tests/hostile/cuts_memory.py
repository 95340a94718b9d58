"""Tries to cut the memory that it shares with the judge.
Reason: none
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    for number in range(3, 1024):
        try:
            if "memfd" in str(Path(f"/proc/self/fd/{number}").readlink()):
                os.ftruncate(number, 0)
        except OSError:
            continue
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
