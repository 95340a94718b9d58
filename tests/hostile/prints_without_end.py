"""Prints for ever.
Reason: ^took longer than|^raised OSError|^ended its process
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    while True:
        print("x" * 100_000)
