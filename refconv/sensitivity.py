"""What a verdict would have caught: standard faults, worked out on the very cases that were accepted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from refconv import judge
from refconv.claims import Claims
from refconv.dtypes import FORMATS, Float64Array, numpy_dtype
from refconv.exact import Form, value
from refconv.judge import Expected, Violation

__all__ = ["FAULTS", "FLOOR", "Sensitivity"]

# Share of the accepted cases of an operation on which each standard fault must be caught.
FLOOR = 0.02

PRECISION = ("TF32 operands", "bfloat16 sums")

Faulty = Callable[[Form, Float64Array], "Float64Array | None"]


def _zero(form: Form, exact: Float64Array) -> Float64Array | None:
    return np.zeros_like(exact)


def _lost_tap(form: Form, exact: Float64Array) -> Float64Array | None:
    """The last tap of every kernel (of a pooling: the last cell of every image) is left out."""
    name = "b" if form.term_roundings == 1 and form.b.ndim else "a"
    less: Any = getattr(form, name).copy()
    if less.size == 0:
        return None
    less[(..., *(-1,) * max(1, less.ndim - 2))] = 0
    return _changed(form, **{name: less})


def _flipped(form: Form, exact: Float64Array) -> Float64Array | None:
    """The kernel (of a pooling: the image) reversed along its last axis."""
    name = "b" if form.term_roundings == 1 and form.b.ndim else "a"
    array = getattr(form, name)
    if array.shape[-1] == 1:
        return None
    return _changed(form, **{name: np.ascontiguousarray(array[..., ::-1])})


def _tf32(form: Form, exact: Float64Array) -> Float64Array | None:
    bits = FORMATS["tf32"].precision
    if form.term_roundings != 1 or form.precision <= bits:
        return None
    return _changed(form, a=_significant(form.a, bits), b=_significant(form.b, bits))


def _significant(values: Float64Array, bits: int) -> Float64Array:
    """Rounded to so many significant bits, whatever the exponent."""
    mantissa, exponent = np.frexp(values)
    return np.asarray(np.ldexp(np.rint(np.ldexp(mantissa, bits)), exponent - bits), dtype=np.float64)


def _bfloat16(form: Form, exact: Float64Array) -> Float64Array | None:
    """A sum carried in bfloat16 ends in a bfloat16: no nearer to the exact value than this."""
    bits = FORMATS["bfloat16"].precision
    return _significant(exact, bits) if form.precision > bits else None


FAULTS: dict[str, Faulty] = {
    "zero output": _zero,
    "one lost tap": _lost_tap,
    "flipped axis": _flipped,
    "TF32 operands": _tf32,
    "bfloat16 sums": _bfloat16,
}


def _changed(form: Form, **operands: Any) -> Float64Array:
    result = value(replace(form, **operands))
    return result.high + result.low


@dataclass
class Sensitivity:
    """For each standard fault, on how many cases it meant something and on how many it would have been caught."""

    meant: Counter[str] = field(default_factory=Counter)
    caught: Counter[str] = field(default_factory=Counter)

    def observe(self, expected: Expected) -> None:
        """Work the faults out on one accepted case."""
        for fault, results in _faulty(expected):
            self.meant[fault] += 1
            self.caught[fault] += _rejected(results, expected)

    def shares(self) -> dict[str, float]:
        """The share of cases on which each fault would have been caught."""
        return {fault: self.caught[fault] / count for fault, count in self.meant.items()}

    def sufficient(self, claims: Claims) -> bool:
        """No standard fault would have gone by: each is caught on the floor's share of the cases.

        Reduced precision counts only where the claim leaves no room for it.
        """
        strict = (claims.accumulate, claims.input_rounding, claims.algorithm) == ("", "none", "direct")
        return all(share >= FLOOR for f, share in self.shares().items() if strict or f not in PRECISION)


def _faulty(expected: Expected) -> Iterator[tuple[str, dict[str, Any]]]:
    """The results a kernel with each fault would return at best: exact sums, one rounding."""
    dtype = numpy_dtype(expected.case.dtype)
    exact = {name: t.high + t.low for name, t in expected.truth.items()}
    if dtype.kind == "c" or not all(e.size for e in exact.values()):
        return
    if not expected.forms:  # a maximum
        yield "zero output", {name: np.zeros_like(e).astype(dtype) for name, e in exact.items()}
        return
    for fault, make in FAULTS.items():
        made = {name: make(form, exact[name]) for name, form in expected.forms.items()}
        if any(m is not None for m in made.values()):
            with np.errstate(over="ignore", invalid="ignore"):
                yield fault, {n: np.asarray(exact[n] if m is None else m).astype(dtype) for n, m in made.items()}


def _rejected(results: dict[str, Any], expected: Expected) -> bool:
    try:
        judge.within(results, expected.case, expected.claims)
    except Violation:
        return True
    return False
