"""The parts of one call on several threads, as many as the library that multiplies matrices takes.

NumPy lets other threads run while it works on an array. Each thread has buffers of its own (`refconv.scratch`).
"""

from __future__ import annotations

import contextvars
import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["count", "each"]

Part = TypeVar("Part")


@functools.cache
def count() -> int:
    """How many: what OMP_NUM_THREADS says, as for PyTorch and NumPy's products, else all processors it may use.

    >>> count() >= 1
    True
    """
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # after the comma: of threads within threads
    if said.isdigit() and int(said):
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def each(do: Callable[[Part], object], parts: Sequence[Part], fewest: int = 1) -> None:
    """Call `do` with every part; no thread gets less than `fewest` of them, of which this one takes the first.

    >>> done = []
    >>> each(done.append, range(5), fewest=2)
    >>> sorted(done)
    [0, 1, 2, 3, 4]
    """
    share = max(fewest, -(-len(parts) // count()), 1)

    def run(some: Sequence[Part]) -> None:
        for part in some:
            do(part)

    others = [
        _pool().submit(contextvars.copy_context().run, run, parts[start : start + share])
        for start in range(share, len(parts), share)
    ]
    try:
        run(parts[:share])
    finally:
        for other in others:
            other.exception()  # what is given to `do` may not be let go before all are done with it
    for other in others:
        other.result()


@functools.cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, count() - 1), thread_name_prefix="refconv")


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads
