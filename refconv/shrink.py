"""Makes a failing case small, then its values: zeros, then ones and small integers, where the failure allows it."""

from __future__ import annotations

import itertools
import math
import re
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from refconv import smaller
from refconv.dtypes import Array
from refconv.judge import Violation
from refconv.smaller import Step
from refconv.spec import Case

__all__ = ["earlier", "simplify"]

Fails = Callable[[Case], Violation | None]


def simplify(
    violation: Violation, fails: Fails, shapes: bool = False, tries: int = 250, until: float = math.inf
) -> Violation:
    """The same violation on a smaller call (with `shapes`) and on plainer values; `fails` re-judges a case.

    At most `tries` calls are judged for either, none once `time.perf_counter()` says `until`. A case counts as the
    same failure when it is broken for the same reason, whatever numbers that names.
    """
    if violation.case is None:
        return violation
    if shapes:
        violation = _search(violation, fails, smaller.steps(violation.case), tries, until)
    assert violation.case is not None
    return _search(violation, fails, [_plainer(name) for name in violation.case.operands], tries, until)


def earlier(calls: Sequence[Case], fails: Callable[[Sequence[Case]], bool], until: float) -> Sequence[Case] | None:
    """The fewest of the calls made before, the last ones first, after which it fails; None where that is not found."""
    counts = sorted({0, *(min(2**i, len(calls)) for i in range(len(calls).bit_length() + 1))})
    count = next((n for n in counts if time.perf_counter() < until and fails(calls[len(calls) - n :])), None)
    if count is None:
        return None
    kept = list(calls[len(calls) - count :])
    size = count // 2 or 1
    while size and kept:
        start = 0
        while start < len(kept) and time.perf_counter() < until:
            fewer = kept[:start] + kept[start + size :]
            kept, start = (fewer, start) if fails(fewer) else (kept, start + size)
        size //= 2
    return kept


def _search(violation: Violation, fails: Fails, steps: Sequence[Step], tries: int, until: float) -> Violation:
    """Take each step as often as it leads to the same failure, and start again until none does."""
    best, left = violation, tries
    improved = True
    while improved:
        improved = False
        for step in steps:
            while left > 0 and time.perf_counter() < until:
                found, left = _first(best, fails, step, left, until)
                if found is None:
                    break
                best, improved = found, True
    return best


def _first(violation: Violation, fails: Fails, step: Step, tries: int, until: float) -> tuple[Violation | None, int]:
    """The first candidate that fails alike, and how many tries are left."""
    assert violation.case is not None
    for candidate in itertools.islice(step(violation.case), tries):
        if time.perf_counter() > until:
            return None, 0
        tries -= 1
        found = fails(candidate)
        if found is not None and _kind(found) == _kind(violation):
            found.found = violation.found
            return found, tries
    return None, tries


def _kind(violation: Violation) -> str:
    return re.sub(r"\d+", "", violation.reason)


def _plainer(name: str) -> Step:
    """Candidates in one operand, boldest first; each is strictly plainer than the case itself: the search ends."""

    def step(case: Case) -> Iterator[Case]:
        for values in _steps(case.operands[name]):
            yield case.with_operands(**{name: values})

    return step


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
