"""A fault as a row: what a kernel with it may return for a call, and whether that explains what came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from refconv import bound, exact
from refconv.claims import Claims
from refconv.dtypes import Array, Float64Array, Format, format_of
from refconv.exact import Form
from refconv.spec import Case

__all__ = ["LARGE", "TRUTH", "Expect", "Fault", "Trial", "cost", "expected", "explains", "says"]

LARGE = 50_000  # operand elements above which a call is tried on fewer data


@dataclass(frozen=True)
class Trial:
    """One call, what came, and which of its results are not what they must be."""

    case: Case
    results: dict[str, Array]
    claims: Claims
    wrong: frozenset[str]

    @property
    def cost(self) -> int:
        return cost(self.case)


def cost(case: Case) -> int:
    """Operand elements, or a fiftieth of the products where that is more."""
    elements = sum(a.size for a in case.operands.values())
    if elements > LARGE or case.operation.kind == "max_pool":
        return elements
    return max(elements, int(sum(f.terms.sum() for f in exact.forms(case).values())) // 50)


@dataclass(frozen=True)
class Expect:
    """Between which reals a result lies before the output's rounding; after it where it is `stored`."""

    low: Float64Array
    high: Float64Array
    stored: bool = False
    over: Any = False  # where the sum may have overflowed
    fits: Format | None = None  # a narrower format that holds every result

    def map(self, function: Callable[[Any], Any]) -> Expect:
        """An increasing function of both ends."""
        return replace(self, low=np.asarray(function(self.low)), high=np.asarray(function(self.high)))


@dataclass(frozen=True)
class Fault:
    """A hypothesis: how the call, the form of its result, the claims or the value change under it."""

    kind: str
    words: str
    bend: Callable[[Case], Case | None] | None = None
    form: Callable[[Form, Case], Form | None] | None = None
    after: Callable[[Expect, Case], Expect | None] | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    result: Callable[[str], str] | None = None  # which result's value comes in place of the named one
    looks: Callable[[Trial, str], bool | None] | None = None  # in place of a value: whether it explains a trial
    here: bool = False  # says something of calls of the failing call's shapes only
    needs: Callable[[Trial, str], bool] | None = None  # what at least one wrong trial has to show


TRUTH = Fault("", "")


def expected(fault: Fault, case: Case, name: str, claims: Claims) -> Expect | None:
    """What a kernel with the fault may return; None where the fault says nothing of the call."""
    bent = fault.bend(case) if fault.bend else case
    if bent is None:
        return None
    source = fault.result(name) if fault.result else name
    expect = _value(fault, bent, case, source, replace(claims, **fault.claims))
    return fault.after(expect, case) if fault.after and expect else expect


def _value(fault: Fault, bent: Case, case: Case, name: str, claims: Claims) -> Expect | None:
    if case.operation.kind == "max_pool":
        best = exact.window_maximum(bent)
        return None if fault.form else Expect(best, best)
    form: Form | None = exact.forms(bent)[name]
    if fault.form and form:
        form = fault.form(form, bent)
    if form is None:
        return None
    truth = exact.value(form)
    room = bound.allowed(bent, claims, {name: form})[name] + truth.error
    over = np.isinf(room)
    if over.any():
        room = bound.allowed(bent, claims, {name: form}, overflow=False)[name] + truth.error
    with np.errstate(invalid="ignore", over="ignore"):
        slack = np.where(room > 0, room * (1 + 1e-10) + 2.0**-52 * np.abs(truth.high), 0.0)
        near = np.where(np.isfinite(truth.low), truth.low, 0.0)
        low, high = truth.high + np.minimum(near, 0) - slack, truth.high + np.maximum(near, 0) + slack
    return Expect(low, high, over=over)


def explains(actual: Array, expect: Expect | None, case: Case, claims: Claims) -> bool | None:
    """Whether every element is one that was expected; None where nothing can be said."""
    if expect is None:
        return None
    if actual.shape != expect.low.shape:
        return False
    if actual.size == 0:
        return None
    wide = actual.astype(np.float64)
    low, high = wide, wide
    out = format_of(case.dtype)
    if not expect.stored and bound.accumulator(case.dtype, claims).precision > out.precision:
        low, high = out.cell(wide)
    if expect.fits is not None and not np.array_equal(expect.fits.round(wide), wide, equal_nan=True):
        return False
    with np.errstate(invalid="ignore"):
        fine = (low <= expect.high) & (expect.low <= high)
    fine = fine | (np.isnan(wide) & np.isnan(expect.low)) | (~np.isfinite(wide) & expect.over)
    return bool(fine.all())


def says(fault: Fault, trial: Trial, name: str) -> bool | None:
    """Whether the fault explains a trial; a hypothesis that makes no sense for the call says nothing."""
    try:
        with np.errstate(all="ignore"):
            if fault.looks:
                return fault.looks(trial, name)
            expect = expected(fault, trial.case, name, trial.claims)
            return explains(trial.results[name], expect, trial.case, trial.claims)
    except (ValueError, IndexError, TypeError, ZeroDivisionError, KeyError):
        return None
