"""Judges of a result: each raises a Violation that carries its evidence, or returns how near it came."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from refconv import bound, exact
from refconv.bound import Claims
from refconv.dtypes import Array, Float64Array, format_of, numpy_dtype
from refconv.exact import Exact
from refconv.spec import Case

__all__ = ["Interval", "Violation", "enclosures", "form", "overlap", "same_bits", "untouched", "within"]

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
    ) -> None:
        super().__init__(reason)
        self.reason, self.case, self.result, self.index = reason, case, result, index
        self.got, self.exact, self.allowed, self.wrong, self.of = got, exact, allowed, wrong, of

    def __str__(self) -> str:
        lines = [self.reason]
        if self.case is not None:
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
            raise Violation(f"`{name}` has shape {array.shape}, but must have {want}", case, result=name)
        if array.dtype != dtype:
            raise Violation(f"`{name}` has dtype {array.dtype}, but must have {dtype}", case, result=name)


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
        )


def _plain(value: Any) -> float | str:
    return str(complex(value)) if np.iscomplexobj(value) else float(value)


def _first(where: Any) -> tuple[int, ...]:
    return tuple(int(i) for i in np.unravel_index(int(np.argmax(where)), where.shape))


def within(results: Results, case: Case, claims: Claims) -> float:
    """Every element is one that a kernel of the claimed class can give; the largest error in units of the allowed one.

    The error of a result is its distance to the exact value or, where the output is narrower than the
    accumulator, the distance of the exact value to the reals that round to the result: the smallest
    accumulation error that explains it.
    """
    forms = {} if case.operation.kind == "max_pool" else exact.forms(case)
    truth, room = exact.values(case, forms), bound.allowed(case, claims, forms)
    worst = 0.0
    for name, actual in parts(results).items():
        error = _error(actual, truth[name], case, claims)
        if claims.ties == "any" and case.operation.kind == "max_pool_backward":
            error = np.where(_any_tie(actual, case, room[name]), 0.0, error)
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
        error = np.where(wide == truth.high, np.minimum(error, np.abs(truth.low)), error)
    return np.asarray(np.where(np.isnan(error), np.inf, error))


def _ratio(error: Float64Array, room: Float64Array) -> Float64Array:
    with np.errstate(divide="ignore", invalid="ignore"):
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
    )


def _any_tie(actual: Array, case: Case, room: Float64Array) -> Any:
    """Where a gradient is possible for some split of each window's gradient among its tied maxima."""
    low, high = exact.tie_range(case)
    wide = actual.astype(np.float64)
    return (wide >= low - room) & (wide <= high + room)


# ------------------------------------------------------------------------- comparing results of two calls


@dataclass(frozen=True)
class Interval:
    """Reals among which the exact value must lie if a result is one that its class can give."""

    low: Float64Array
    high: Float64Array

    def __add__(self, other: Interval) -> Interval:
        return Interval(self.low + other.low, self.high + other.high)

    def __neg__(self) -> Interval:
        return Interval(-self.high, -self.low)

    def __mul__(self, factor: float) -> Interval:
        ends = self.low * factor, self.high * factor
        return Interval(np.minimum(*ends), np.maximum(*ends))

    def map(self, function: Any) -> Interval:
        """The same rearrangement (slice, transpose, flip, concatenate with a constant) of both ends."""
        return Interval(function(self.low), function(self.high))

    def sum(self, axis: Any = None) -> Interval:
        return Interval(np.asarray(self.low.sum(axis=axis)), np.asarray(self.high.sum(axis=axis)))


def enclosures(results: Results, case: Case, claims: Claims) -> dict[str, Interval]:
    """For each result, the interval of exact values that explain it."""
    room = bound.allowed(case, claims)
    return {name: _enclosure(a, room[name], case, claims) for name, a in parts(results).items()}


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
            got=f"in [{left.low[at]!r}, {left.high[at]!r}]",
            exact=f"in [{right.low[at]!r}, {right.high[at]!r}]",
            wrong=int((~fine).sum()),
            of=fine.size,
        )
