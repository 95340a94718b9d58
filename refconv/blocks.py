"""Boxes that tile an index space: as large as the caches take, as many as there are threads."""

from __future__ import annotations

import itertools
import math

__all__ = ["Box", "boxes", "span"]

Box = tuple[slice, ...]


def boxes(sizes: tuple[int, ...], room: int, threads: int = 1) -> list[Box]:
    """Boxes of at most `room` elements, or one of each, as even as can be; each is contiguous in row-major order.

    With `threads` they are a multiple of so many, where an axis is long enough.

    >>> [span(box) for box in boxes((2, 5), 3)]
    [(1, 2), (1, 3), (1, 2), (1, 3)]
    >>> [span(box) for box in boxes((9, 4), 20, threads=2)]
    [(4, 4), (5, 4)]
    """
    if threads == 1 and 0 < math.prod(sizes) <= room:  # most are, and this takes a fourth of the time
        return [tuple(slice(0, n) for n in sizes)]
    share, axes = -(-math.prod(sizes) // threads), []
    for n in reversed(sizes):
        parts = -(-n // max(1, min(room, share)))
        if parts > 1:
            parts, threads = min(n, -(-parts // threads) * threads), 1
        axes.append([slice(n * i // parts, n * (i + 1) // parts) for i in range(parts)])
        step = max(1, -(-n // max(1, parts)))
        room, share = room // step, -(-share // step)
    return list(itertools.product(*reversed(axes)))


def span(box: Box) -> tuple[int, ...]:
    """How many places a box has on each axis.

    >>> span((slice(0, 3), slice(4, 5)))
    (3, 1)
    """
    return tuple(part.stop - part.start for part in box)
