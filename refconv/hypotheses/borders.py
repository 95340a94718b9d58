"""The padding holds something else than what belongs there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from refconv.hypotheses.bend import AXES, size_kept, spec_of, with_spec
from refconv.hypotheses.fault import Fault
from refconv.spec import Case

__all__ = ["faults"]

_FILLS: tuple[tuple[str, Callable[[Any, int], Any]], ...] = (
    ("repeats the edge in the padding", lambda i, n: np.clip(i, 0, n - 1)),
    ("takes the padding from the opposite side", lambda i, n: i % n),
    ("reflects the data into the padding", lambda i, n: n - 1 - np.abs(n - 1 - i % max(1, 2 * n - 2))),
)


def faults(case: Case) -> Iterator[Fault]:
    """Every other filling of the padding, where an operation pads its input."""
    if case.operation.kind not in ("conv", "conv_backward", "avg_pool", "max_pool"):
        return
    axes = AXES[case.operation.rank]
    if case.operation.kind == "max_pool":
        yield Fault("pooling rule", "pads with zeros", partial(_filled_border, None, None, None))
        return
    for words, fill in _FILLS:
        yield Fault("border or halo", words, partial(_filled_border, fill, None, None))
        for (i, axis), side in product(enumerate(axes), (0, 1)):
            where = f"{words} {('before', 'behind')[side]} the data along {axis}"
            yield Fault("border or halo", where, partial(_filled_border, fill, i, side))
        for i, axis in enumerate(axes[: len(axes) * (len(axes) > 1)]):
            yield Fault("border or halo", f"{words} along {axis}", partial(_filled_border, fill, i, None))


def _filled_border(fill: Callable[[Any, int], Any] | None, axis: int | None, side: int | None, case: Case) -> Case:
    """The call without padding on an image that has its border filled already."""
    x: Any = case.operands["input"]
    spec = spec_of(case)
    pads = spec.padding
    if case.operation.kind == "max_pool":  # as far as the last window reaches
        pads = tuple((a, max(b, c)) for (a, b), (_, c) in zip(pads, size_kept(spec, case).padding, strict=True))
        spec = replace(spec, ceil_mode=False)
    for i, (a, b) in enumerate(pads):
        n = x.shape[2 + i]
        at = np.arange(-a, n + b)
        filled = np.zeros(at.shape, dtype=bool)
        if fill and axis in (None, i):
            filled = ((at < 0) & (side != 1)) | ((at >= n) & (side != 0))
        source = np.where(filled, fill(at, n) if fill else 0, np.clip(at, 0, n - 1))
        x = np.take(x, source, 2 + i)
        empty = (at < 0) | (at >= n)
        empty &= ~filled
        x[(..., empty, *(slice(None),) * (len(pads) - 1 - i))] = 0
    return with_spec(case, replace(spec, padding=((0, 0),) * len(pads)), input=x)
