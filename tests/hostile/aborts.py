"""Aborts, as a failed assertion in C does.
Reason: ^ended its process by SIGABRT
Diagnosis: crash.
"""

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    os.abort()
