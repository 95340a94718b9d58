"""Calls sys.exit.
Reason: ^raised SystemExit
Diagnosis: raises.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    sys.exit(0)
