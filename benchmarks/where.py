"""On which of refconv's lines a call spends its time.

Time counts for the line of refconv's own that is executed, with all that NumPy and SciPy do for it; what a line calls
in refconv counts for the lines there. Each line takes longer while it is watched, by about a microsecond: shares of
calls that take less than a tenth of a millisecond lean towards many short lines.
"""

from __future__ import annotations

import linecache
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from types import CodeType, FrameType
from typing import Any, NamedTuple

import refconv

PACKAGE = str(Path(refconv.__file__).parent)
ROUNDS = 5
ENOUGH = 0.8  # of the time: lines beyond are not shown,
FEW = 4  # nor more than these


class Line(NamedTuple):
    """Its share of a call, the file's name and the function, and what stands there."""

    share: float
    place: str
    text: str


def lines(call: Callable[[], Any], rounds: int = ROUNDS) -> list[Line]:
    """Those that take most of the time, longest first.

    >>> import numpy as np
    >>> from refconv import conv2d
    >>> x, w = np.ones((1, 64, 28, 28)), np.ones((64, 64, 3, 3))
    >>> sum(line.share for line in lines(lambda: conv2d(x, w))) > 0.5
    True
    """
    spent = _watched(call, rounds)
    total = sum(spent.values())
    out: list[Line] = []
    for (code, number), seconds in spent.most_common(FEW):
        if sum(line.share for line in out) >= ENOUGH:
            break
        text = linecache.getline(code.co_filename, number).strip()
        place = f"{Path(code.co_filename).stem}.{code.co_name}"
        out.append(Line(seconds / total, place, text))
    return out


def _watched(call: Callable[[], Any], rounds: int) -> Counter[tuple[CodeType, int]]:
    """Seconds of every line in the round that took the least, by code and number."""
    spent: Counter[tuple[CodeType, int]] = Counter()
    stack: list[tuple[CodeType, int]] = []
    last = 0.0

    def charge() -> None:
        nonlocal last
        now = perf_counter()
        if stack:
            spent[stack[-1]] += now - last
        last = perf_counter()

    def inside(frame: FrameType, event: str, _: Any) -> Any:
        charge()
        if event == "line":
            stack[-1] = frame.f_code, frame.f_lineno
        elif event == "return":
            stack.pop()
        return inside

    def entering(frame: FrameType, event: str, _: Any) -> Any:
        if not frame.f_code.co_filename.startswith(PACKAGE):
            return None
        charge()
        stack.append((frame.f_code, frame.f_lineno))
        return inside

    call()
    before, best = sys.gettrace(), Counter[tuple[CodeType, int]]()
    for _ in range(rounds):
        sys.settrace(entering)
        try:
            call()
        finally:
            sys.settrace(before)
        if not best or spent.total() < best.total():
            best = spent.copy()
        stack.clear()
        spent.clear()
    return best
