"""Leaves a timer behind that ends the process later.
Reason: ^ended its process by SIGALRM
Diagnosis: crash.
"""

import signal
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    time.sleep(0.01 * (out.size > 8))
    return out
