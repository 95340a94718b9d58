"""Waits for something that does not come, on some calls only.
Reason: ^took longer than
Diagnosis: hang.
"""

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    while input.size > 20:
        time.sleep(1)
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
