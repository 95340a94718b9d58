"""Starts a thread that never ends.
Reason: none
"""

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base

THREADS = []


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if not THREADS:
        THREADS.append(threading.Thread(target=threading.Event().wait))
        THREADS[0].start()
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
