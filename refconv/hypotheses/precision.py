"""The right sums in too few bits: rounded operands, sums or results, and transforms that are not claimed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import product
from typing import Any

import numpy as np

from refconv import bound, exact
from refconv.dtypes import FORMATS, Format, format_of
from refconv.exact import Form
from refconv.hypotheses.bend import edited
from refconv.hypotheses.fault import Expect, Fault, Trial
from refconv.law import Judged
from refconv.spec import Case

__all__ = ["faults"]

_SIDES: dict[str, tuple[str, str]] = {
    "conv": ("input", "weight"),
    "conv_transpose": ("input", "weight"),
    "grad_input": ("grad_output", "weight"),
    "grad_weight": ("grad_output", "input"),
    "grad_bias": ("grad_output", ""),
    "convolve": ("in1", "in2"),
    "correlate": ("in1", "in2"),
}


def faults(case: Case, name: str, judged: Judged) -> Iterator[Fault]:
    """Every narrower format, and every algorithm whose errors are larger."""
    own = format_of(case.dtype)
    narrower = [f for f in FORMATS.values() if f.precision < own.precision]
    yield Fault("flush to zero", "takes subnormal numbers for zero", claims={"subnormals": "ftz"})
    if own.precision < 24:
        yield Fault("bias", "rounds before the bias is added", claims={"epilogue": "separate"})
    yield from _rounded_operands(case, name, narrower)
    for fmt in (*narrower, own):
        for words, rounding in _ROUNDINGS:
            if not (fmt is own and words == "rounds"):
                after = partial(_stored, fmt, rounding)
                yield Fault("low-precision output", f"{words} the result to {fmt.name}", after=after)
    if case.operation.kind == "max_pool":
        return
    half = FORMATS["float16"].max
    yield Fault("overflow", f"clips operands at {half:g}", form=partial(_clipped, half))
    yield Fault("overflow", f"gives infinity beyond {half:g}", after=partial(_beyond, half, np.inf))
    yield Fault("overflow", f"clips results at {half:g}", after=partial(_beyond, half, half))
    for label in ("float32", "float16", "bfloat16"):
        if FORMATS[label].precision < bound.accumulator(case.dtype, judged.claims(case)).precision:
            form = partial(_narrow, FORMATS[label]) if label == "float32" else None
            words = f"carries sums in {FORMATS[label].precision} bits ({label})"
            yield Fault(
                "low-precision accumulator",
                words,
                form=form,
                claims={"accumulate": label},
                needs=partial(_coarse, label),
            )
    for algorithm in ("winograd(2,3)", "winograd(4,3)", "winograd(6,3)", "fft"):
        words = f"computes by {algorithm} without claiming it"
        yield Fault("transform", words, claims={"algorithm": algorithm}, needs=_leaks if algorithm == "fft" else None)


def _rounded_operands(case: Case, name: str, narrower: Sequence[Format]) -> Iterator[Fault]:
    kind = case.operation.kind
    left, right = _SIDES.get(name if kind == "conv_backward" else kind, (case.operation.operands[0], ""))
    sides = [(True, False, f"`{left}`")]
    if right:
        sides += [(False, True, f"`{right}`"), (True, True, "the operands")]
    for fmt, (words, rounding), (a, b, which) in product(narrower, _ROUNDINGS, sides):
        said = f"{words} {which} to {fmt.name}"
        if kind == "max_pool":
            bend = partial(edited, "input", partial(_rounded_array, fmt, rounding))
            yield Fault("low-precision inputs", said, bend)
        else:
            yield Fault("low-precision inputs", said, form=partial(_rounded, fmt, rounding, a, b))


def _rounded_array(fmt: Format, rounding: Callable[[Format, Any], Any], a: Any, case: Case) -> Any:
    return rounding(fmt, a.astype(np.float64)).astype(a.dtype)


def _rounded(
    fmt: Format, rounding: Callable[[Format, Any], Any], a: bool, b: bool, form: Form, case: Case
) -> Form | None:
    left = rounding(fmt, form.a) if a else form.a
    right = rounding(fmt, form.b) if b else form.b
    return replace(form, a=left, b=right) if np.isfinite(left).all() and np.isfinite(right).all() else None


def _clipped(limit: float, form: Form, case: Case) -> Form:
    return replace(form, a=np.clip(form.a, -limit, limit))


def _beyond(limit: float, value: float, e: Expect, case: Case) -> Expect:
    return e.map(lambda a: np.where(np.abs(a) > limit, np.copysign(value, a), a))


def _narrow(fmt: Format, form: Form, case: Case) -> Form:
    addend = None if form.addend is None else fmt.round(form.addend)
    return replace(form, a=fmt.round(form.a), b=fmt.round(form.b), addend=addend, precision=min(24, form.precision))


def _stored(fmt: Format, rounding: Callable[[Format, Any], Any], e: Expect, case: Case) -> Expect:
    with np.errstate(all="ignore"):
        return Expect(rounding(fmt, e.low), rounding(fmt, e.high), stored=True, fits=fmt)


def _coarse(label: str, trial: Trial, name: str) -> bool:
    """Somewhere the error is as large as roundings of the format make it."""
    form = exact.forms(trial.case)[name]
    if form.terms.max(initial=0) > 256:  # there the bound leaves room for a lost product
        return False
    truth = exact.value(form)
    size = (form.magnitude + (0 if form.addend is None else np.abs(form.addend))) / np.asarray(form.divisor)
    error = np.abs(trial.results[name].astype(np.float64) - truth.high)
    return bool((error > FORMATS[label].unit_roundoff / 8 * size / np.maximum(form.terms, 1)).any())


def _leaks(trial: Trial, name: str) -> bool:
    """Something comes out where nothing is summed."""
    form = exact.forms(trial.case)[name]
    nothing = form.magnitude + (0 if form.addend is None else np.abs(form.addend)) == 0
    return bool((trial.results[name][nothing] != 0).any())


def _truncated(fmt: Format, values: Any) -> Any:
    unit = fmt.ulp(values)
    return np.trunc(values / unit) * unit


def _away(fmt: Format, values: Any) -> Any:
    unit = fmt.ulp(values)
    return np.copysign(np.floor(np.abs(values) / unit + 0.5) * unit, values)


_ROUNDINGS: tuple[tuple[str, Callable[[Format, Any], Any]], ...] = (
    ("rounds", lambda fmt, values: fmt.round(values)),
    ("rounds (ties away from zero)", _away),
    ("cuts", _truncated),
)
