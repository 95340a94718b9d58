"""A pooling window starts with, divides by or routes its gradient to something else than it must."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from refconv.dtypes import FORMATS, Format
from refconv.exact import Form
from refconv.hypotheses.bend import arranged, mapped
from refconv.hypotheses.fault import Expect, Fault
from refconv.spec import Case, PoolSpec

__all__ = ["faults"]


def faults(case: Case) -> Iterator[Fault]:
    """Every other rule of the pooling operation."""
    kind = case.operation.kind
    if kind == "avg_pool_backward":
        yield Fault("gradient scale or routing", "does not divide by the window's size", form=_undivided)
        yield Fault("pooling rule", "divides by the whole window everywhere", form=_whole_share)
    if kind == "avg_pool":
        yield Fault("pooling rule", "divides by the whole window everywhere", form=_whole_window)
        yield Fault(
            "pooling rule", "gives zeros for windows of ceil mode that start in the padding", form=_zero_windows
        )
        for fmt in (FORMATS["float32"], FORMATS["float16"], FORMATS["bfloat16"]):
            words = f"rounds the reciprocal of the window's size to {fmt.name}"
            yield Fault("low-precision inputs", words, form=partial(_reciprocal, fmt))
    if kind == "max_pool_backward":
        for words, chosen in _CHOICES:
            yield Fault("pooling rule", words, form=partial(_chosen, chosen))
        yield Fault("gradient scale or routing", "counts positions in the padded image", form=_padded_index)
    if kind == "max_pool":
        for start in (0.0, -1e4, float(np.finfo(np.float32).tiny), float(np.finfo(np.float64).tiny)):
            yield Fault("pooling rule", f"starts the search at {start:g}", after=partial(_at_least, start))


def _at_least(start: float, e: Expect, case: Case) -> Expect:
    return e.map(lambda a: np.maximum(a, start))


def _undivided(form: Form, case: Case) -> Form:
    return replace(form, b=np.ones_like(form.b), divisor=1)


def _whole_share(form: Form, case: Case) -> Form:
    return replace(form, b=np.ones_like(form.b), divisor=prod(case.pool.kernel_size))


def _whole_window(form: Form, case: Case) -> Form:
    if not case.pool.count_include_pad:
        return form
    return replace(form, divisor=np.full(np.shape(form.divisor), prod(case.pool.kernel_size)))


class _Extra(PoolSpec):
    """Ceil mode that keeps every window the rounding gives."""

    def _windows(self, n: int, pad: tuple[int, int], extent: int, stride: int) -> int:
        return max(0, -(-(n + sum(pad) - extent) // stride) + 1)


def _zero_windows(form: Form, case: Case) -> Form:
    spec, size = case.pool, case.operands["input"].shape[2:]
    if not spec.ceil_mode:
        return form
    more = [n - o for n, o in zip(_Extra(**vars(spec)).output_size(size), spec.output_size(size), strict=True)]
    return mapped(form, lambda a: np.pad(a, ((0, 0), (0, 0), *((0, m) for m in more))))


def _reciprocal(fmt: Format, form: Form, case: Case) -> Form:
    cells = prod(case.pool.kernel_size)
    factor = cells * float(fmt.round(np.array(1 / cells)))
    return replace(form, b=form.b * factor, term_roundings=2)


def _cells(case: Case) -> tuple[Any, Any]:
    """(N, C, taps, *size): the elements of each window, and which of them are inside the image."""
    spec, x = case.pool, case.operands["input"].astype(np.float64)
    size = spec.output_size(x.shape[2:])
    index = [
        np.arange(o)[:, None] * s + np.arange(k) * d - a
        for o, s, k, d, (a, _) in zip(size, spec.stride, spec.kernel_size, spec.dilation, spec.padding, strict=True)
    ]
    cells, inside = x, np.ones((1, 1), dtype=bool)
    for i, at in enumerate(index):
        n = x.shape[2 + i]
        cells = np.take(cells, np.clip(at, 0, n - 1), 2 + 2 * i)
        here = (at >= 0) & (at < n)
        inside = inside[..., None, None] & here
    rank = len(size)
    order = (0, 1, *range(3, 3 + 2 * rank, 2), *range(2, 2 + 2 * rank, 2))
    cells, inside = (np.transpose(np.broadcast_to(a, cells.shape), order) for a in (cells, inside))
    flat = (*cells.shape[:2], prod(spec.kernel_size), *size)
    return cells.reshape(flat), inside.reshape(flat)


def _chosen(choose: Callable[[Any], Any], form: Form, case: Case) -> Form:
    cells, inside = _cells(case)
    best = inside & (cells == np.where(inside, cells, -np.inf).max(axis=2, keepdims=True))
    return replace(form, b=np.asarray(choose(best), dtype=np.float64).reshape(form.b.shape), term_roundings=1)


def _only_last(best: Any) -> Any:
    behind = np.flip(np.cumsum(np.flip(best, 2), 2), 2)
    return best & (behind == 1)


_CHOICES: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("sends the gradient to the last of equal maxima", _only_last),
    ("sends the whole gradient to every one of equal maxima", lambda best: best),
    ("splits the gradient between equal maxima", lambda best: best / np.maximum(best.sum(2, keepdims=True), 1)),
)


def _padded_index(form: Form, case: Case) -> Form:
    def move(a: Any, case: Case) -> Any:
        by = 0
        for n, (before, _) in zip(a.shape[2:], case.pool.padding, strict=True):
            by = by * n + before
        return np.roll(a.reshape(*a.shape[:2], -1), by, 2).reshape(a.shape)

    return arranged(move, form, case)
