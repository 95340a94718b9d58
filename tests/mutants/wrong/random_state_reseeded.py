"""Seeds NumPy's global random generator in every call.
Class: state. Trigger: global state that is looked at after a call. Rarity: rare.
Diagnosis: global state.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def convolve(in1, in2, mode="full"):
    np.random.seed(0)  # noqa: NPY002 (the fault)
    return _base.convolve(in1, in2, mode)
