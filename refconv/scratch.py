"""Buffers kept between calls, for each thread its own: fresh pages would cost more than the copies into them.

And what convolutions read: operands among zeros, and views of them as windows need them.
"""

from __future__ import annotations

import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv import threads
from refconv.blocks import Box, boxes

__all__ = ["KEPT_BYTES", "buffer", "forget", "placed", "strided"]

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


def placed(name: str, x: Array, padding: tuple[tuple[int, int], ...], size: tuple[int, ...]) -> Array:
    """x with its padding on the last axes, cropped where that is negative, and zeros at the end up to `size`.

    In a buffer of that name: (*rest, *n) -> (*rest, *size).

    >>> placed("doctest", np.ones((1, 3)), ((2, -1),), (5,)).tolist()
    [[0.0, 0.0, 1.0, 1.0, 0.0]]
    """
    rest = x.shape[: x.ndim - len(size)]
    result = buffer(name, (*rest, *size), x.dtype)
    inside, source = [], []
    for n, (before, after), total in zip(x.shape[len(rest) :], padding, size, strict=True):
        start, first = max(0, before), max(0, -before)
        stop = max(first, min(n - max(0, -after), first + total - start))
        inside.append(slice(start, start + stop - first))
        source.append(slice(first, stop))
    to: tuple[Any, ...] = (..., *inside)
    of: tuple[Any, ...] = (..., *source)

    def copy(part: Box) -> None:
        result[part].fill(0)
        result[part][to] = x[part][of]

    number = threads.several(threads.ELEMENT * result.size)
    threads.each(copy, boxes(rest, math.prod(rest), number) if number > 1 else [()])
    return result


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
