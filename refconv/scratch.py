"""Buffers kept between calls, for each thread its own: fresh pages would cost more than the copies into them."""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["KEPT_BYTES", "buffer"]

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
