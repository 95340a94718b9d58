"""A thread writes into the result after it was returned.
Reason: was changed by a later call|outside the allowed|depends on the operands' memory layout
"""

import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    out = _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
    threading.Timer(0.002, out.fill, (7,)).start()
    return out
