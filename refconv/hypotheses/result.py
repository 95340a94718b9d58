"""The sums are right, and what is returned of them is not: moved, cut, negated, overwritten, another gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from refconv.exact import Form
from refconv.hypotheses.bend import arranged, extents, moved, products, spec_of
from refconv.hypotheses.fault import Expect, Fault
from refconv.hypotheses.operands import GROUP_ORDERS, regrouped
from refconv.spec import Case

__all__ = ["faults"]


def faults(case: Case) -> Iterator[Fault]:
    """Every other result of the same sums."""
    kind = case.operation.kind
    rank = case.operation.rank or case.operands["in1"].ndim
    for what, words, only, form in _RESULT_ROWS:
        if only in ("", kind):
            yield Fault(what, words, form=form)
    if kind in ("conv", "conv_transpose"):
        for words, order in GROUP_ORDERS:
            yield Fault("group mix-up", f"{words} in `output`", form=partial(products, partial(regrouped, order)))
    for i in range(-rank, 0):
        for by in (1, -1):
            words = f"the result lies one place beside along axis {i}"
            yield Fault("shifted", words, form=partial(arranged, partial(moved, i, by)))
        words = f"loses the end of the result along axis {i}"
        yield Fault("output size rule", words, form=partial(arranged, partial(_cropped, i)))
        if "conv" in kind and case.operation.rank:
            words = f"loses the end of the result along axis {i} where the windows fit"
            yield Fault("output size rule", words, form=partial(arranged, partial(_cropped_at_fit, i)))
    yield Fault("constant result", "returns zeros", after=lambda e, c: e.map(lambda a: 0 * a))
    yield Fault("NaN handling", "returns NaN only", after=lambda e, c: e.map(lambda a: a * np.nan))
    yield Fault("NaN handling", "gives NaN where the result is zero", after=_nan_at_zero)
    if "max" not in kind:
        yield Fault("sign", "cuts negative results off at zero", after=lambda e, c: e.map(lambda a: np.maximum(a, 0)))
        yield Fault("sign", "returns the absolute value", after=_absolute)
        yield Fault("sign", "returns the negative", after=lambda e, c: replace(e, low=-e.high, high=-e.low))
    if kind == "conv_backward":
        for to in ("grad_input", "grad_weight"):
            words = f"returns `{to}` in place of another gradient"
            yield Fault("gradient scale or routing", words, result=partial(_instead, to))
    if kind in ("conv_transpose", "avg_pool_backward", "max_pool_backward"):
        words = "the last window overwrites where windows overlap"
        yield Fault("overwrites", words, form=_overwritten)


def _nan_at_zero(e: Expect, case: Case) -> Expect:
    zero = (e.low == 0) & (e.high == 0)
    return e.map(lambda a: np.where(zero, np.nan, a))


def _absolute(e: Expect, case: Case) -> Expect:
    low = np.where((e.low <= 0) & (e.high >= 0), 0, np.minimum(np.abs(e.low), np.abs(e.high)))
    return replace(e, low=low, high=np.maximum(np.abs(e.low), np.abs(e.high)))


def _instead(other: str, name: str) -> str:
    return other


def _overwritten(form: Form, case: Case) -> Form | None:
    """Position by position in row-major order, what a window writes replaces what was there."""
    places = form.a.shape[2:]
    if prod(places) * float(form.terms.sum()) > 1e6:
        return None

    def operator(a: Any, b: Any) -> Any:
        total = form.operator(a * 0, b * 0)
        for at in np.ndindex(*places):
            one = np.zeros(a.shape)
            one[(..., *at)] = 1
            touched = form.operator(one, b if form.term_roundings == 0 else np.ones_like(b)) != 0
            total = np.where(touched, form.operator(a * one, b), total)
        return total

    return replace(form, operator=operator, norms=None)


def _cropped(axis: int, a: Any, case: Case) -> Any:
    return np.take(a, range(a.shape[axis] - 1), axis)


def _cropped_at_fit(axis: int, a: Any, case: Case) -> Any:
    spec = spec_of(case)
    n, (before, after) = case.operands["input"].shape[axis], spec.padding[axis]
    free = (n + before + after - extents(spec, case)[axis]) % spec.stride[axis]
    return a if free or spec.stride[axis] == 1 else _cropped(axis, a, case)


def _last_rows(case: Case, a: Any, value: Any) -> Any:
    """Zero in the rows that output padding adds."""
    out = np.array(a)
    for i, extra in enumerate(case.output_padding):
        if extra:
            where: Any = (..., slice(-extra, None), *(slice(None),) * (len(case.output_padding) - 1 - i))
            out[where] = value
    return out


def _last_repeated(a: Any) -> Any:
    flat = np.array(a).reshape(-1)
    flat[-1:] = flat[-2:-1]
    return flat.reshape(a.shape)


def _reached(a: Any, case: Case) -> Any:
    spec, places = case.conv, case.operands["grad_output"].shape[2:]
    axes = zip(places, spec.stride, extents(spec, case), spec.padding, strict=True)
    return a[(..., *(slice((n - 1) * s + e - b) for n, s, e, (b, _) in axes))]


def _last_column_tap(form: Form, case: Case) -> Form:
    """The last output column without the last column of taps."""
    less = np.array(form.b)
    less[..., -1] = 0

    def operator(a: Any, b: Any) -> Any:
        out = np.array(form.operator(a, b))
        out[..., -1] = form.operator(a, np.where(less != 0, b, 0))[..., -1]
        return out

    return replace(form, operator=operator, norms=None)


_RESULT_ROWS: tuple[tuple[str, str, str, Callable[[Form, Case], Form | None]], ...] = (
    ("wrong axis", "returns the channels last", "", partial(arranged, lambda a, c: np.moveaxis(a, 1, -1))),
    ("output size rule", "drops axes of length one", "",
     partial(arranged, lambda a, c: a[0] if a.shape[0] == 1 else a)),
    ("output size rule", "drops every axis of length one", "", partial(arranged, lambda a, c: np.squeeze(a))),
    ("flipped kernel", "returns the result reversed on every spatial axis", "",
     partial(arranged, lambda a, c: np.flip(a, tuple(range(-(c.operation.rank or a.ndim), 0))))),
    ("batch mix-up", "does not clear the sum between images", "", partial(products, lambda a, c: np.cumsum(a, 0))),
    ("batch mix-up", "gives every image the result of the first", "",
     partial(arranged, lambda a, c: a[:1].repeat(len(a), 0))),
    ("border or halo", "the last element holds what belongs to the one before", "",
     partial(arranged, lambda a, c: _last_repeated(a))),
    ("output size rule", "cuts off what no window reads", "conv_backward",
     partial(arranged, lambda a, c: _reached(a, c))),
    ("dropped tap", "the last column leaves out the last column of taps", "conv", _last_column_tap),
    ("border or halo", "leaves the rows that output padding adds without products", "conv_transpose",
     partial(products, lambda a, c: _last_rows(c, a, 0))),
)  # fmt: skip
