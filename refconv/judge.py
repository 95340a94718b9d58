"""Judges of a result: each raises a Violation that carries its evidence, or returns how near it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from refconv import bound, exact
from refconv.claims import Claims
from refconv.dtypes import Array, Float64Array, format_of, numpy_dtype
from refconv.exact import Exact
from refconv.spec import Case

__all__ = [
    "Expected",
    "Interval",
    "Violation",
    "enclosures",
    "expect",
    "form",
    "overlap",
    "same_bits",
    "untouched",
    "within",
]

Results = Mapping[str, Array]


class Violation(AssertionError):
    """A law is broken: by which result, where, and by how much."""

    def __init__(
        self,
        reason: str,
        case: Case | None = None,
        *,
        result: str = "",
        index: tuple[int, ...] = (),
        got: float | str | None = None,
        exact: float | str | None = None,
        allowed: float | None = None,
        wrong: int = 0,
        of: int = 0,
        compared: Mapping[str, Array] | None = None,
    ) -> None:
        super().__init__(reason)
        self.reason, self.case, self.result, self.index = reason, case, result, index
        self.got, self.exact, self.allowed, self.wrong, self.of = got, exact, allowed, wrong, of
        self.compared = compared or {}  # the whole result: got, exact or expected, allowed, and where it is wrong
        self.printed = ""  # the end of what the subject printed until then
        self.found: Case | None = None  # the call that broke the law first, where `case` is a smaller one
        self.before: tuple[Case, ...] = ()  # the calls without which it would not be one

    def __str__(self) -> str:
        lines = [self.reason]
        if self.case is not None:
            lines += [f"after    {case!r}" for case in self.before]
            lines.append(f"case     {self.case!r}")
        if self.got is not None:
            where = f"{self.result}[{', '.join(map(str, self.index))}]"
            lines.append(f"at       {where}" + (f"  ({self.wrong} of {self.of} elements wrong)" if self.of else ""))
            lines += [f"got      {_number(self.got)}", f"exact    {_number(self.exact)}"]
        if self.allowed is not None:
            lines.append(f"allowed  {_number(self.allowed)}")
        return "\n".join(lines)


def _number(value: Any) -> str:
    return repr(float(value)) if isinstance(value, (float, np.floating)) else str(value)


def form(results: Results, case: Case) -> None:
    """Shape and dtype are those of the call."""
    for name, array in results.items():
        want, dtype = case.shapes[name], numpy_dtype(case.dtype)
        if array.shape != want:
            said = f"`{name}` has shape {array.shape}, but must have {want}"
            raise Violation(said, case, result=name, compared={"got": array})
        if array.dtype != dtype:
            said = f"`{name}` has dtype {array.dtype}, but must have {dtype}"
            raise Violation(said, case, result=name, compared={"got": array})


def untouched(handed: Results, case: Case) -> None:
    """The operands are what they were, bit for bit."""
    for name, array in handed.items():
        same_bits(array, case.operands[name], case, f"operand `{name}` was changed by the call", name)


def same_bits(actual: Array, expected: Array, case: Case, reason: str, result: str = "output") -> None:
    """Equal bit for bit; NaN equals NaN, and zeros of either sign are equal."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    if actual.shape != expected.shape:
        raise Violation(f"{reason}: shape {actual.shape} against {expected.shape}", case, result=result)
    differ = np.asarray(~((actual == expected) | ((actual != actual) & (expected != expected))))
    if differ.any():
        at = _first(differ)
        raise Violation(
            reason,
            case,
            result=result,
            index=at,
            got=_plain(actual[at]),
            exact=_plain(expected[at]),
            wrong=int(differ.sum()),
            of=differ.size,
            compared={"got": actual, "expected": expected, "wrong": differ},
        )


def _plain(value: Any) -> float | str:
    return str(complex(value)) if np.iscomplexobj(value) else float(value)


def _first(where: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(where)), where.shape))


@dataclass(frozen=True)
class Expected:
    """What is true of a call, and how far a kernel of the claimed class may be from it."""

    case: Case
    claims: Claims
    forms: Mapping[str, exact.Form]
    truth: Mapping[str, Exact]
    room: Mapping[str, Float64Array]

    def allowed(self, results: Results) -> Mapping[str, Float64Array]:
        """The allowed error; what could have overflowed but is finite has not."""
        if not any(np.isinf(r).any() for r in self.room.values()):
            return self.room
        finite = bound.allowed(self.case, self.claims, dict(self.forms), overflow=False)
        shown = {name: np.isfinite(a.astype(np.float64)) for name, a in results.items()}
        return {name: np.asarray(np.where(shown[name], finite[name], self.room[name])) for name in results}


@lru_cache(maxsize=4)
def expect(case: Case, claims: Claims) -> Expected:
    """Exact values and allowed errors of a call on finite operands; kept for the next judge of the same call."""
    forms = {} if case.operation.kind == "max_pool" else exact.forms(case)
    return Expected(case, claims, forms, exact.values(case, forms), bound.allowed(case, claims, forms))


def within(results: Results, case: Case, claims: Claims) -> float:
    """Every element is one that a kernel of the claimed class can give; the largest error in units of the allowed one.

    The error of a result is its distance to the exact value or, where the output is narrower than the
    accumulator, the distance of the exact value to the reals that round to the result: the smallest
    accumulation error that explains it.
    """
    expected = expect(case, claims)
    found, truth, worst = parts(results), expected.truth, 0.0
    room = expected.allowed(found)
    for name, actual in found.items():
        error = _error(actual, truth[name], case, claims)
        if case.operation.kind == "max_pool_backward":
            if claims.ties == "any":
                error = np.where(_any_tie(actual, case, room[name]), 0.0, error)
            if claims.subnormals != "ieee" and exact.has_subnormals(case) and (error > room[name]).any():
                # all of them may be taken for zero, and tie; the gradient is then another one as a whole
                tied = _error(actual, expect(exact.flushed(case), claims).truth[name], case, claims)
                error = tied if (tied <= room[name]).all() else error
        ratio = _ratio(error, room[name] + truth[name].error)
        if ratio.size and not ratio.max() <= 1:
            _convict(name, actual, truth[name], room[name], ratio, case)
        worst = max(worst, float(ratio.max(initial=0.0)))
    return worst


def parts(results: Results) -> dict[str, Array]:
    """Complex results as their real and imaginary part."""
    out: dict[str, Array] = {}
    for name, array in results.items():
        if np.iscomplexobj(array):
            out |= {f"{name}.real": array.real, f"{name}.imag": array.imag}
        else:
            out[name] = array
    return out


def _error(actual: Array, truth: Exact, case: Case, claims: Claims) -> Float64Array:
    wide = actual.astype(np.float64)
    out = format_of(case.dtype)
    with np.errstate(invalid="ignore", over="ignore"):
        if bound.accumulator(case.dtype, claims).precision <= out.precision:
            error = np.abs((wide - truth.high) - truth.low)
        else:
            low, high = out.cell(wide)
            error = np.maximum(np.maximum((low - truth.high) - truth.low, (truth.high - high) + truth.low), 0.0)
        error = np.where(wide == truth.high, np.fmin(error, np.abs(truth.low)), error)  # infinity is infinity
    return np.asarray(np.where(np.isnan(error), np.inf, error))


def _ratio(error: Float64Array, room: Float64Array) -> Float64Array:
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        ratio = error / room
    return np.asarray(np.where((error == 0) | np.isposinf(room), 0.0, ratio))


def _convict(name: str, actual: Array, truth: Exact, room: Float64Array, ratio: Float64Array, case: Case) -> None:
    wrong = ~(ratio <= 1)
    at = _first(np.where(np.isnan(ratio), np.inf, ratio))
    raise Violation(
        f"`{name}` is outside the allowed error",
        case,
        result=name,
        index=at,
        got=float(actual[at]),
        exact=float(truth.high[at]),
        allowed=float(np.broadcast_to(room, ratio.shape)[at]),
        wrong=int(wrong.sum()),
        of=wrong.size,
        compared={"got": actual, "exact": truth.high, "allowed": np.broadcast_to(room, ratio.shape), "wrong": wrong},
    )


def _any_tie(actual: Array, case: Case, room: Float64Array) -> Any:
    """Where a gradient is possible for some split of each window's gradient among its tied maxima."""
    low, high = exact.tie_range(case)
    wide = actual.astype(np.float64)
    return (wide >= low - room) & (wide <= high + room)


# ------------------------------------------------------------------------- comparing results of two calls


@dataclass(frozen=True)
class Interval:
    """Reals among which the exact value must lie if a result is one that its class can give.

    Sums, products and quotients are exact where float64 holds them, and rounded outwards where it does not.
    """

    low: Float64Array
    high: Float64Array

    @classmethod
    def point(cls, values: Any) -> Interval:
        """Nothing but these values."""
        wide = np.asarray(values).astype(np.float64)
        return cls(wide, wide)

    def __add__(self, other: Interval) -> Interval:
        return Interval(_sum(self.low, other.low, -np.inf), _sum(self.high, other.high, np.inf))

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __sub__(self, other: Interval) -> Interval:
        return self + -other

    def __mul__(self, factor: Any) -> Interval:
        """Times exact numbers, one for all or one for each element."""
        (a, b), (c, d) = _product(self.low, factor), _product(self.high, factor)
        return Interval(np.minimum(a, c), np.maximum(b, d))

    def __truediv__(self, divisor: Any) -> Interval:
        """By exact numbers other than zero."""
        (a, b), (c, d) = _quotient(self.low, divisor), _quotient(self.high, divisor)
        return Interval(np.minimum(a, c), np.maximum(b, d))

    def map(self, function: Any) -> Interval:
        """The same rearrangement (slice, transpose, flip, concatenate with a constant) of both ends."""
        return Interval(function(self.low), function(self.high))

    def shown(self, at: tuple[int, ...]) -> float | str:
        """One of its elements, as evidence.

        >>> Interval.point([1.0]).shown((0,)), Interval(np.zeros(1), np.ones(1)).shown((0,))
        (1.0, 'in [0.0, 1.0]')
        """
        low, high = float(self.low[at]), float(self.high[at])
        return low if low == high else f"in [{low!r}, {high!r}]"

    def sum(self, axis: Any = None) -> Interval:
        """Over some axes, or all."""
        axes = range(self.low.ndim) if axis is None else np.atleast_1d(axis) % self.low.ndim
        return Interval(_total(self.low, axes, -np.inf), _total(self.high, axes, np.inf))


def _total(values: Float64Array, axes: Any, side: float) -> Float64Array:
    """Pair by pair, so that a few steps add many rows at once."""
    moved = np.moveaxis(values, tuple(axes), range(len(axes)))
    rows = moved.reshape(prod(moved.shape[: len(axes)]), *moved.shape[len(axes) :])
    while len(rows) > 1:
        half = len(rows) // 2
        rows = np.concatenate([_sum(rows[:half], rows[half : 2 * half], side), rows[2 * half :]])
    return rows[0] if len(rows) else np.zeros(rows.shape[1:])


TINY = 2.0**-900  # below it the error of a product may itself underflow


def _sum(a: Any, b: Any, side: float) -> Float64Array:
    """a + b, or the next number on this side where the sum is not exact."""
    with np.errstate(invalid="ignore", over="ignore"):
        total, lost = exact.two_sum(a, b)
        return np.asarray(np.where(lost == 0, total, np.nextafter(total, side)))


def _product(a: Any, b: Any) -> tuple[Float64Array, Float64Array]:
    """a b twice, or its two neighbours where it is not exact; zero times anything is zero."""
    with np.errstate(invalid="ignore", over="ignore"):
        zero, wide = (a == 0) | (b == 0), np.asarray(b, dtype=np.float64)
        p = np.where(zero, 0.0, a * wide)
        return _around(p, zero | ((exact.remainder(p, a, wide) == 0) & (np.abs(p) > TINY)))


def _quotient(a: Any, b: Any) -> tuple[Float64Array, Float64Array]:
    """a / b twice, or its two neighbours where it is not exact."""
    with np.errstate(invalid="ignore", over="ignore"):
        wide = np.asarray(b, dtype=np.float64)
        q = np.asarray(a / wide)
        return _around(q, (a == 0) | ((exact.remainder(a, q, wide) == 0) & (np.abs(a) > TINY)))


def _around(values: Any, sure: Any) -> tuple[Float64Array, Float64Array]:
    below, above = np.nextafter(values, -np.inf), np.nextafter(values, np.inf)
    return np.where(sure, values, below), np.where(sure, values, above)


def enclosures(results: Results, case: Case, claims: Claims) -> dict[str, Interval]:
    """For each result, the interval of exact values that explain it."""
    found, forms = parts(results), {} if case.operation.kind == "max_pool" else exact.forms(case)
    room = Expected(case, claims, forms, {}, bound.allowed(case, claims, forms)).allowed(found)
    return {name: _enclosure(a, room[name], case, claims) for name, a in found.items()}


def _enclosure(actual: Array, room: Float64Array, case: Case, claims: Claims) -> Interval:
    wide, out = actual.astype(np.float64), format_of(case.dtype)
    low, high = wide, wide
    if bound.accumulator(case.dtype, claims).precision > out.precision:
        low, high = out.cell(wide)
    # the ends themselves are computed in float64
    slack = np.where(room > 0, room * (1 + 1e-10) + 2.0**-51 * np.abs(wide), 0.0)
    with np.errstate(invalid="ignore"):
        low, high = low - slack, high + slack
    unknown = np.isposinf(room)
    return Interval(np.where(unknown, -np.inf, low), np.where(unknown, np.inf, high))


def overlap(left: Interval, right: Interval, case: Case, reason: str, result: str = "output") -> None:
    """Some exact value explains both; NaN explains nothing."""
    if left.low.shape != right.low.shape:
        raise Violation(f"{reason}: shape {left.low.shape} against {right.low.shape}", case, result=result)
    fine = (left.low <= right.high) & (right.low <= left.high)
    if not fine.all():
        at = _first(~fine)
        raise Violation(
            reason,
            case,
            result=result,
            index=at,
            got=left.shown(at),
            exact=right.shown(at),
            wrong=int((~fine).sum()),
            of=fine.size,
        )
