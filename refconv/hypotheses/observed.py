"""What a wrong result looks like suggests where it came from; fresh data confirm it or not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any

import numpy as np

from refconv.dtypes import format_of
from refconv.exact import Form
from refconv.hypotheses.bend import edited, scaled
from refconv.hypotheses.fault import TRUTH, Expect, Fault, Trial, expected, explains
from refconv.hypotheses.trials import called
from refconv.law import Judged
from refconv.spec import Case, Sizes

__all__ = ["faults"]


def faults(name: str, same: Sequence[Trial], judged: Judged) -> Iterator[Fault]:
    """What the wrong results of calls of the `same` shapes suggest."""
    if not same:
        return
    sample = next((t for t in same if t.case.family == "denseint"), same[-1])
    if (sample.case.operands.get("bias")) is not None:
        words = _bias_words(sample.case, judged)
        yield Fault("bias", words, form=partial(_own_bias, judged))
    yield from _places(sample, name)
    yield Fault("flush to zero", "takes small results for zero", looks=_is_snapped)
    yield from _factor(sample, name)
    yield from _single_taps(sample, name)


def _bias_words(case: Case, judged: Judged) -> str:
    call = called(case.with_operands(input=np.zeros_like(case.operands["input"])), judged)
    if call is None:
        return "the bias is not added once at every position"
    added = call.results["output"].astype(np.float64)
    bias = case.operands["bias"].astype(np.float64).reshape(-1, *(1,) * (added.ndim - 2))
    if not added.any():
        return "the bias is missing"
    for times in (2, 3, 4, 5, 6, 7):
        if np.array_equal(added, np.broadcast_to(times * bias, added.shape)):
            return f"the bias is added {times} times"
    if ((added == bias) | (added == 0)).all():
        return f"the bias is missing in {int(((added == 0) & (bias != 0)).sum())} of {added.size} places"
    return "the bias is not added once at every position, but in other places"


def _own_bias(judged: Judged, form: Form, case: Case) -> Form | None:
    """The products of the call, with the bias as the subject adds it to nothing."""
    if "bias" not in case.operands:
        return form
    nothing = case.with_operands(input=np.zeros_like(case.operands["input"]))
    call = called(nothing, judged)
    return None if call is None else replace(form, addend=call.results["output"].astype(np.float64))


def _places(sample: Trial, name: str) -> Iterator[Fault]:
    """Slices along an axis that hold zeros, or what belongs to another slice."""
    for axis in range(sample.results[name].ndim):
        source = _sources(sample, name, axis)
        if source is None or source == tuple(range(len(source))):
            continue
        kind, words = _moves(source, axis, sample, name)
        yield Fault(kind, words, looks=partial(_is_moved, axis, kind))


def _is_moved(axis: int, kind: str, trial: Trial, name: str) -> bool | None:
    """Right results are as they must be: they say nothing against."""
    if name not in trial.wrong:
        return None
    source = _sources(trial, name, axis, kind != "unwritten part")
    if source is None:
        return False
    return kind != "unwritten part" or all(j < 0 for i, j in enumerate(source) if i != j)


def _sources(trial: Trial, name: str, axis: int, moved: bool = False) -> Sizes | None:
    """For each index along an axis, whose slice of the true value it holds; -1: zeros (if `moved`, last of all)."""
    truth, actual = expected(TRUTH, trial.case, name, trial.claims), trial.results[name]
    if truth is None or truth.low.shape != actual.shape or axis >= actual.ndim or actual.size > 200_000:
        return None
    found: list[int] = []
    for i in range(actual.shape[axis]):
        part = np.take(actual, i, axis)
        near = sorted(range(actual.shape[axis]), key=lambda j: abs(i - j))
        for j in near if moved or part.any() else [i, -1]:
            there = replace(truth.map(partial(_slice, axis, j)), over=False)
            if explains(part, there, trial.case, trial.claims) is not False:
                found.append(j)
                break
        else:
            return None
    return tuple(found)


def _slice(axis: int, index: int, a: Any) -> Any:
    part = np.take(a, max(index, 0), axis)
    return part if index >= 0 else np.zeros_like(part)


def _moves(source: Sizes, axis: int, sample: Trial, name: str) -> tuple[str, str]:
    wrong = [i for i, j in enumerate(source) if i != j]
    where = f"along axis {axis} of `{name}`"
    first = f"index {wrong[0]}" if len(wrong) == 1 else f"indices {wrong[0]} to {wrong[-1]}"
    if all(source[i] < 0 for i in wrong):
        return "unwritten part", f"leaves {first} at zero {where}"
    groups = sample.case.conv.groups if "weight" in sample.case.operands else 1
    named = 1 if name == "grad_weight" and axis == 0 else axis if sample.case.operation.rank else 2
    exchanged = groups > 1 and sorted(source) == list(range(len(source)))
    kind = {0: "batch mix-up", 1: "group mix-up" if exchanged else "channel mix-up"}.get(named, "shifted")
    if kind == "shifted" and len(wrong) == 1 and wrong[0] in (0, len(source) - 1):
        kind = "border or halo"
    return kind, f"{first} {where} hold what belongs to {source[wrong[0]]}"


def _is_snapped(trial: Trial, name: str) -> bool | None:
    """Wrong only where the true value is below what no result falls below."""
    truth, actual = expected(TRUTH, trial.case, name, trial.claims), trial.results[name].astype(np.float64)
    if truth is None or truth.low.shape != actual.shape:
        return None
    size = np.maximum(np.abs(truth.low), np.abs(truth.high))
    limit = float(size[(actual == 0) & (size > 0)].max(initial=0.0))
    kept = actual[actual != 0]
    if limit > 1e-6 or (kept.size and np.abs(kept).min() < limit):
        return False
    snapped = truth.map(lambda a: np.where(size <= limit, 0.0, a))
    return explains(trial.results[name], snapped, trial.case, trial.claims)


def _factor(sample: Trial, name: str) -> Iterator[Fault]:
    """One factor between result and truth."""
    if "backward" in sample.case.operation.kind and (factor := _ratio(sample, name)) is not None:
        words = f"`{name}` is {factor:g} times what it must be"
        yield Fault("gradient scale or routing", words, looks=_is_scaled, needs=_many)


def _many(trial: Trial, name: str) -> bool:
    return int(np.count_nonzero(trial.results[name])) > 3


def _is_scaled(trial: Trial, name: str) -> bool | None:
    return _ratio(trial, name) is not None if name in trial.wrong else None


def _ratio(trial: Trial, name: str) -> float | None:
    truth = expected(TRUTH, trial.case, name, trial.claims)
    actual = trial.results[name].astype(np.float64)
    if truth is None or truth.low.shape != actual.shape:
        return None
    middle = (truth.low + truth.high) / 2
    used = np.isfinite(middle) & (middle != 0)
    factor = float(np.median(actual[used] / middle[used])) if used.any() else 0.0
    if factor in (0.0, 1.0) or not np.isfinite(factor):
        return None
    fine = explains(trial.results[name], _times(factor, truth, trial.case), trial.case, trial.claims)
    return factor if fine else None


def _times(factor: float, e: Expect, case: Case) -> Expect:
    u = 8 * format_of(case.dtype).unit_roundoff
    ends = e.low * factor, e.high * factor
    low, high = np.minimum(*ends), np.maximum(*ends)
    return replace(e, low=low - u * np.abs(low), high=high + u * np.abs(high))


def _single_taps(sample: Trial, name: str) -> Iterator[Fault]:
    """Each single tap of each channel, in calls of these shapes."""
    operand = "weight" if "weight" in sample.case.operands else "in2"
    if operand not in sample.case.operands or name in ("grad_weight", "grad_bias"):
        return
    shape = sample.case.operands[operand].shape
    inner = shape[1:] if operand == "weight" else shape
    if not 1 < prod(inner) <= 64:
        return
    for where in np.ndindex(*inner):
        at = (slice(None), *where) if operand == "weight" else where
        for kind, words, factor in (("dropped tap", "leaves out", 0), ("doubled tap", "counts twice", 2)):
            edit = partial(edited, operand, partial(scaled, factor, at))
            yield Fault(kind, f"{words} tap {where} of `{operand}`", edit, here=True)
