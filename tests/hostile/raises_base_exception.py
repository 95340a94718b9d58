"""Raises what `except Exception` does not catch.
Reason: ^raised BaseException
Diagnosis: raises.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    raise BaseException("no")
