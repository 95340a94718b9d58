"""Times calls side by side, and says how sure their ratio is; needs NumPy alone.

Two calls are compared by the ratios of their times in the same round, so that whatever slows the machine for a while
slows both. The estimate is the median of those ratios. Its interval is that of order statistics, which asks nothing
of the distribution: of n independent ratios, the r-th smallest and the r-th largest enclose the median with probability
1 - 2 P(B < r), B binomial(n, 1/2) [David & Nagaraja, Order Statistics, 3rd ed. 2003, section 7.1].
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil, comb
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ROUNDS", "Ratio", "Times", "interleaved", "ratio"]

ROUNDS = 11  # the fewest of which a median is given
ENOUGH = 1e-3  # seconds: shorter calls are repeated within one sample
Times = NDArray[np.float64]


@dataclass(frozen=True)
class Ratio:
    """The median of paired ratios, and an interval that holds it with at least the confidence asked for."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.median:.2f} [{self.low:.2f}, {self.high:.2f}]"


def ratio(first: Any, second: Any, confidence: float = 0.95) -> Ratio:
    """How many times as long `first` takes as `second`; the times of one round stand at the same place.

    Raises ValueError where there are too few rounds for any interval of that confidence (0.95 takes 6).

    >>> print(ratio([2.0] * 11, [1.0] * 11))
    2.00 [2.00, 2.00]
    """
    pairs = np.sort(np.asarray(first, float) / np.asarray(second, float))
    rank = _rank(len(pairs), confidence)
    if rank == 0:
        raise ValueError(f"{len(pairs)} rounds are too few for an interval of confidence {confidence}")
    return Ratio(float(np.median(pairs)), float(pairs[rank - 1]), float(pairs[-rank]))


def _rank(n: int, confidence: float) -> int:
    """The largest r for which the r-th smallest and r-th largest of n enclose the median as surely as asked; or 0."""
    outside, rank = 0.0, 0
    while rank < n // 2:
        outside += 2 * comb(n, rank) * 0.5**n
        if outside > 1 - confidence:
            break
        rank += 1
    return rank


def interleaved(calls: Mapping[str, Callable[[], Any]], rounds: int = ROUNDS, settle: float = 0.0) -> dict[str, Times]:
    """Seconds of each call in each round. In a round every call is timed once, each round beginning with another.

    Every call is first made once untimed; a call shorter than a millisecond is repeated, the same number of times in
    every round, and its time is that of one. With `settle`, each is made untimed for so many seconds before it is
    timed: threads of OpenMP and OpenBLAS wait for more work by spinning, and would take processors from those of the
    next call, which in turn have to be woken, and to be spread over the processors.

    >>> sorted(interleaved({"a": lambda: None, "b": lambda: None}, rounds=2))
    ['a', 'b']
    """
    names = list(calls)
    repeats = {name: _repeats(calls[name]) for name in names}
    times = {name: np.empty(rounds) for name in names}
    for i in range(rounds):
        first = i % len(names)
        for name in names[first:] + names[:first]:
            stop = perf_counter() + settle
            while perf_counter() < stop:
                calls[name]()
            times[name][i] = _sample(calls[name], repeats[name])
    return times


def _repeats(call: Callable[[], Any]) -> int:
    call()
    return max(1, ceil(ENOUGH / max(_sample(call, 1), 1e-7)))


def _sample(call: Callable[[], Any], repeats: int) -> float:
    start = perf_counter()
    for _ in range(repeats):
        call()
    return (perf_counter() - start) / repeats
