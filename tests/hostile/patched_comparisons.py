"""Makes every comparison that a checker might use say yes, and returns zeros.
Reason: outside the allowed error
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "mutants"))

import _base


def _yes(*given, **named):
    return True


for module in (np, np.testing):
    for name in ("allclose", "isclose", "array_equal", "assert_allclose", "assert_array_equal", "all", "any"):
        if hasattr(module, name):
            setattr(module, name, _yes)
for name in ("torch", "refconv.judge"):
    for what in ("allclose", "within", "form", "untouched"):
        if hasattr(sys.modules.get(name), what):
            setattr(sys.modules[name], what, _yes)


def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    return 0 * _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
