"""Buffers kept between calls, for each thread its own: fresh pages would cost more than the copies into them.

And views of them, and of contiguous operands, as windows of convolutions need them.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEPT_BYTES", "buffer", "forget", "strided"]

Array = NDArray[Any]

KEPT_BYTES = 2**26  # a larger buffer is given back


class _Held(threading.local):
    def __init__(self) -> None:
        self.buffers: dict[str, Array] = {}


_HELD = _Held()


def buffer(name: str, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """An uninitialised C-contiguous array; valid until the same thread asks for the same name again.

    >>> buffer("doctest", (2, 3), np.dtype("float32")).shape
    (2, 3)
    """
    size = math.prod(shape) * dtype.itemsize
    held = _HELD.buffers.get(name)
    if held is None or held.size < size:
        _HELD.buffers.pop(name, None)  # before the larger one is made
        held = np.empty(size, np.uint8)
        if size <= KEPT_BYTES:
            _HELD.buffers[name] = held
    return held[:size].view(dtype).reshape(shape)


def strided(array: Array, shape: tuple[int, ...], strides: tuple[int, ...]) -> Array:
    """A view of a C-contiguous array, steps in bytes, that NumPy holds to the array's bounds.

    `as_strided` does not, and takes several microseconds, as long as the product of a small layer.

    >>> strided(np.arange(4.0), (3, 2), (8, 8)).tolist()
    [[0.0, 1.0], [1.0, 2.0], [2.0, 3.0]]
    """
    return np.ndarray(shape, array.dtype, array, 0, strides)


def forget() -> None:
    """Give back what this thread keeps."""
    _HELD.buffers.clear()
