"""Channels in groups, and the products that contract them."""

from __future__ import annotations

from typing import Any

from refconv.spec import Sizes

__all__ = ["grouped", "grouped_kernel", "joined", "product", "rotated"]

Array = Any


def grouped(xp: Any, x: Array, groups: int) -> Array:
    """(N, C, *n) -> (N, groups, C/groups, *n)."""
    return xp.reshape(x, (x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))


def grouped_kernel(xp: Any, w: Array, groups: int) -> Array:
    """(O, C/groups, *k) -> (groups, O/groups, C/groups, *k)."""
    return xp.reshape(w, (groups, w.shape[0] // groups, *w.shape[1:]))


def joined(xp: Any, y: Array, size: Sizes) -> Array:
    """(N, groups, C/groups, ...) -> (N, C, *size)."""
    return xp.reshape(y, (y.shape[0], y.shape[1] * y.shape[2], *size))


def rotated(xp: Any, w: Array, groups: int) -> Array:
    """(O, C/groups, *k) -> (C, O/groups, *k): the kernel rotated by 180 degrees that leads back to the input."""
    swapped = xp.flip(swap(xp, grouped_kernel(xp, w, groups), 1, 2), axis=tuple(range(3, w.ndim + 1)))
    return xp.reshape(swapped, (groups * w.shape[1], w.shape[0] // groups, *w.shape[2:]))


def swap(xp: Any, x: Array, first: int, second: int) -> Array:
    """Two axes exchanged."""
    order = list(range(x.ndim))
    order[first], order[second] = order[second], order[first]
    return xp.permute_dims(x, tuple(order))


def product(xp: Any, a: Array, b: Array) -> Array:
    """(..., I, J) times (..., J, K) -> (..., I, K); that of integers, which not every device has, as a plain sum."""
    if xp.isdtype(a.dtype, "integral"):
        return xp.sum(xp.expand_dims(a, axis=-1) * xp.expand_dims(b, axis=-3), axis=-2, dtype=a.dtype)
    return xp.matmul(a, b)
