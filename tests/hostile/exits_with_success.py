"""Ends its process as if all were well.
Reason: ^ended its process with exit code 0
Diagnosis: crash.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    os._exit(0)
