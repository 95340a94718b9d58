"""Makes the values of a failing case small: zeros, then ones and small integers, where the failure allows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from refconv.dtypes import Array
from refconv.judge import Violation
from refconv.spec import Case

__all__ = ["simplify"]

Fails = Callable[[Case], Violation | None]


def simplify(violation: Violation, fails: Fails, tries: int = 250) -> Violation:
    """The same violation on plainer values; `fails` re-judges a case, at most `tries` times.

    A case counts as the same failure when it is broken for the same reason.
    """
    best, left = violation, tries
    improved = True
    while improved and left > 0:
        improved = False
        for candidate in _plainer(best.case):
            if left <= 0:
                break
            left -= 1
            found = fails(candidate)
            if found is not None and found.reason == violation.reason:
                best, improved = found, True
                break
    return best


def _plainer(case: Case | None) -> Iterator[Case]:
    """Candidates, boldest first; each is strictly plainer than the case itself, so the search ends."""
    if case is None:
        return
    for name, array in case.operands.items():
        for values in _steps(array):
            yield case.with_operands(**{name: values})


def _steps(array: Array) -> Iterator[Array]:
    if array.size == 0:
        return
    wide = array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        whole = np.clip(np.rint(wide.real), -3, 3)
        if not np.array_equal(whole, wide, equal_nan=True):
            yield whole.astype(array.dtype)
        flat = wide.ravel()
        ones = np.where(wide != 0, 1.0, 0.0)
        if not np.array_equal(ones, wide):
            yield ones.astype(array.dtype)
    used = np.flatnonzero(flat)
    size = max(1, len(used))
    while size >= 1:
        for start in range(0, len(used), size):
            plain = flat.copy()
            plain[used[start : start + size]] = 0
            yield plain.reshape(array.shape).astype(array.dtype)
        if size == 1 or (len(used) > 64 and size <= len(used) // 64):
            break
        size //= 2
    for i in used[:64]:
        yield from _elements(flat, i, array)


def _elements(flat: Any, i: int, array: Array) -> Iterator[Array]:
    for value in (1.0, -1.0, 2.0):
        if _rank(value) < _rank(flat[i]):
            plain = flat.copy()
            plain[i] = value
            yield plain.reshape(array.shape).astype(array.dtype)


def _rank(value: Any) -> float:
    """How far from plain a number is: 0, 1, -1, 2, then everything else."""
    order = {0.0: 0, 1.0: 1, -1.0: 2, 2.0: 3}
    return order.get(complex(value).real, 4) if complex(value).imag == 0 else 5
