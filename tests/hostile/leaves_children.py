"""Starts a process that never ends.
Reason: none
"""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base

CHILDREN = []


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    if not CHILDREN:
        CHILDREN.append(subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"]))
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
