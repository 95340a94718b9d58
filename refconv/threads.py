"""The parts of one call on several threads, as many as the library that multiplies matrices takes.

NumPy lets other threads run while it works on an array. Each thread has buffers of its own (`refconv.scratch`), and
multiplies by itself: the library's own threads wait for more work by spinning, on the processors that the other parts
need, and can share nothing but products.
"""

from __future__ import annotations

import contextlib
import contextvars
import ctypes
import functools
import itertools
import os
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from queue import SimpleQueue
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

__all__ = ["alone", "count", "each", "multiply", "several", "shares"]

Array = NDArray[Any]
Part = TypeVar("Part")

SHARED = 2**18  # multiply-adds from which OpenBLAS shares a product among its threads
ELEMENT = 16  # multiply-adds that take as long as to copy an element, or to read one and add it to another
WORTH = 2**21  # multiply-adds that take as long as to hand a part to another thread


class _OpenBLAS:
    """NumPy's, held to one thread while any call is under way; where NumPy multiplies by another, nothing is held.

    The number is the process's. (threadpoolctl 3.8 lets only the first thread that sets it do so again.)
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.calls = 0
        self.before = 0
        self.get, self.set = self._found() or (lambda: 0, lambda number: None)

    @staticmethod
    def _found() -> tuple[Callable[[], int], Callable[[int], object]] | None:
        """What asks for the number, and what sets it. But on Windows, names are looked up in linked libraries too."""
        core = sys.modules.get("numpy._core._multiarray_umath") or sys.modules.get("numpy.core._multiarray_umath")
        bundled = Path(np.__file__).parent.with_name("numpy.libs").glob("*openblas*")
        affixes = list(itertools.product(("scipy_", ""), ("64_", "", "_64")))
        for file in (getattr(core, "__file__", None), *bundled):
            with contextlib.suppress(OSError):
                library = ctypes.CDLL(str(file))
                for prefix, suffix in affixes:
                    names = [f"{prefix}openblas_{verb}_num_threads{suffix}" for verb in ("get", "set")]
                    if all(hasattr(library, name) for name in names):
                        return getattr(library, names[0]), getattr(library, names[1])
        return None

    def hold(self) -> None:
        with self.lock:
            if not self.calls:
                self.before = self.get()
                if self.before > 1:
                    self.set(1)
            self.calls += 1

    def release(self) -> None:
        with self.lock:
            self.calls -= 1
            if not self.calls and self.before > 1:
                self.set(self.before)

    def forked(self) -> None:
        """In a child nothing is under way, whatever was in its parent."""
        self.lock = threading.Lock()
        if self.calls:
            self.calls = 0
            self.set(self.before)

    def threads(self) -> int:
        """How many it takes, or took before it was held; 0 where it is not there."""
        return self.before if self.calls else self.get()


_OPENBLAS = _OpenBLAS()
_INSIDE = contextvars.ContextVar("_INSIDE", default=False)


def count() -> int:
    """How many threads there are: as many as products take, by OMP_NUM_THREADS or whatever else limits them.

    One for a part, which has no others to share with.

    >>> count() >= 1
    True
    """
    return 1 if _INSIDE.get() else _OPENBLAS.threads() or _allowed()


@functools.cache
def _allowed() -> int:
    """What OMP_NUM_THREADS says, else all processors that this process may use."""
    said = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0]  # after the comma: of threads within threads
    if said.isdigit() and int(said):
        return int(said)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class alone(contextlib.ContextDecorator):
    """While it holds, products take the thread that asks for them and no other; `count` stays.

    >>> with alone():
    ...     product = np.ones((2, 2)) @ np.ones((2, 2))
    """

    def __enter__(self) -> None:
        _OPENBLAS.hold()

    def __exit__(self, *about: object) -> None:
        _OPENBLAS.release()


def several(work: float) -> int:
    """On how many threads to do a work of so many multiply-adds: as many as get `WORTH` each.

    >>> several(100)
    1
    """
    return 1 if work < 2 * WORTH else min(count(), int(work / WORTH))


def shares(parts: Sequence[Part], most: int) -> list[Sequence[Part]]:
    """The parts as at most so many runs of neighbours, as even as can be; none is empty.

    >>> shares(range(5), 2)
    [range(0, 3), range(3, 5)]
    """
    size = max(1, -(-len(parts) // max(1, most)))
    return [parts[start : start + size] for start in range(0, len(parts), size)]


def each(do: Callable[[Part], object], parts: Sequence[Part]) -> None:
    """Call `do` with every part, each thread with a run of neighbours, of which this one takes the first.

    A part that calls this in turn does all of that itself.

    >>> done = []
    >>> each(done.append, range(5))
    >>> sorted(done)
    [0, 1, 2, 3, 4]
    """
    runs = shares(parts, count()) if len(parts) > 1 else []
    if len(runs) < 2 or not _pool().prepare(len(runs) - 1, _processor()()):
        for part in parts:
            do(part)
        return
    (mine, *others), done = runs, SimpleQueue[BaseException | None]()
    with alone():
        for other in others:
            _pool().tasks.put(functools.partial(contextvars.copy_context().run, _report, do, other, done))
        try:
            _run(do, mine)
        finally:  # what is given to `do` may not be let go before all are done with it
            failures = [done.get() for _ in others]
    for failure in filter(None, failures):
        raise failure


def _run(do: Callable[[Part], object], parts: Sequence[Part]) -> None:
    inside = _INSIDE.set(True)
    try:
        for part in parts:
            do(part)
    finally:
        _INSIDE.reset(inside)


def _report(do: Callable[[Part], object], parts: Sequence[Part], done: SimpleQueue[BaseException | None]) -> None:
    """Run them on another thread, and say what went wrong."""
    try:
        _run(do, parts)
    except BaseException as failure:
        done.put(failure)
    else:
        done.put(None)


def multiply(a: Array, b: Array, out: Array) -> Array:
    """np.matmul(a, b, out=out), the rows or columns of the result shared where that takes long.

    >>> multiply(np.eye(2), np.ones((2, 3)), np.empty((2, 3)))
    array([[1., 1., 1.],
           [1., 1., 1.]])
    """
    work = out.size * a.shape[-1]
    number = several(work)
    if number == 1:
        with alone() if work > SHARED else contextlib.nullcontext():
            return np.matmul(a, b, out=out)
    axis = -2 if out.shape[-2] >= out.shape[-1] else -1
    cuts = [out.shape[axis] * i // number for i in range(number + 1)]

    def part(i: int) -> None:
        some: Any = (..., slice(cuts[i], cuts[i + 1]), *(slice(None),) * (-1 - axis))
        left, right = (a[some], b) if axis == -2 else (a, b[some])
        np.matmul(left, right, out=out[some])

    each(part, range(number))
    return out


class _Pool:
    """Threads that are started as they are needed, and kept off the processor of the one that hands them work.

    Systems may wake a thread where the one that wakes it runs, and leave both there for longer than a part takes.
    One takes half as long to begin as one of `concurrent.futures`, which was as long as a small layer.
    """

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.tasks: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self.numbers: list[int] = []  # the system's, of those started
        self.avoided: tuple[int, int] = (0, -1)  # how many of them avoid which processor

    def prepare(self, number: int, processor: int) -> bool:
        """Have so many threads, kept off this processor where there is another; False where there can be none."""
        with self.lock:
            while len(self.numbers) < number:
                thread = threading.Thread(target=self._work, name="refconv", daemon=True)
                try:
                    thread.start()
                except RuntimeError:  # the system gives no more, or the interpreter is about to end
                    break
                self.numbers.append(thread.native_id or 0)
            now = len(self.numbers), processor
            if processor >= 0 and now != self.avoided:
                allowed = os.sched_getaffinity(0) - {processor}
                for one in self.numbers if allowed else []:
                    with contextlib.suppress(OSError):  # the system forbids it
                        os.sched_setaffinity(one, allowed)
                self.avoided = now
            return bool(self.numbers)

    def _work(self) -> None:
        while True:
            task = self.tasks.get()
            task()
            del task  # the arrays that it holds


@functools.cache
def _pool() -> _Pool:
    return _Pool()


@functools.cache
def _processor() -> Callable[[], int]:
    """What says on which processor this thread runs; -1 where the system does not."""
    try:
        call = ctypes.CDLL(None).sched_getcpu
    except (AttributeError, OSError, TypeError):
        return lambda: -1
    return cast("Callable[[], int]", call)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_pool.cache_clear)  # a child has none of its parent's threads
    os.register_at_fork(after_in_child=_OPENBLAS.forked)
