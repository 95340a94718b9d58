"""CuPy on a GPU: `convolve` and `correlate` by cupyx.scipy.signal, directly.

Conventions translated: none, it says that it does what SciPy does. Operands go to the GPU and the result comes back.
Claims: sums in the operands' dtype. It was written from the documentation and has not been run: that takes a GPU.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from refconv.adapters import translate
from refconv.dtypes import Array
from refconv.subject import Subject


def subject() -> Subject:
    """Signals of any number of axes."""
    import cupy
    import cupyx.scipy.signal as signal

    return Subject("cupy", translate.functions((cupy, signal), {"convolve": _convolve, "correlate": _correlate}, (0,)))


def _convolve(lib: Any, in1: Array, in2: Array, mode: str = "full") -> Array:
    cupy, signal = lib
    return np.asarray(cupy.asnumpy(signal.convolve(cupy.asarray(in1), cupy.asarray(in2), mode, "direct")))


def _correlate(lib: Any, in1: Array, in2: Array, mode: str = "full") -> Array:
    cupy, signal = lib
    return np.asarray(cupy.asnumpy(signal.correlate(cupy.asarray(in1), cupy.asarray(in2), mode, "direct")))
