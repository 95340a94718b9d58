"""What is wrong before values are looked at: in the reason's own words, in one memory layout, by earlier calls."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np

from refconv import judge
from refconv.diagnosis.kinds import KINDS, Diagnosis
from refconv.dtypes import Array
from refconv.hypotheses.fault import LARGE, TRUTH, cost, expected, explains
from refconv.hypotheses.trials import BATCHED, SMALL, alike, called, filled, finite, tried
from refconv.judge import Violation
from refconv.law import Judged
from refconv.spec import Case
from refconv.subject import Call

__all__ = ["broken"]

# A law's reason that is a diagnosis already.
_REASONS: tuple[tuple[str, str], ...] = (
    (r"^ended its process|^cannot be loaded again", "crash"),
    (r"^took longer than", "hang"),
    (r"^wrote outside of", "writes outside"),
    (r"^wrote into the files", "global state"),
    (r"was changed by the call", "mutated operand"),
    (r"read-only", "mutated operand"),
    (r"lies in the memory of|was changed by a later call", "shared memory"),
    (r"the state of .* was changed|numpy\.seterr", "global state"),
    (r"has dtype|but must return|but must be a |returned ", "wrong dtype or type"),
    (r"(was|were) accepted|larger than the input gave", "accepts an impossible call"),
    (r"^raised ", "raises"),
    (r"holds a NaN that is none", "reads outside"),
    (r"NaN", "NaN handling"),
)


def broken(violation: Violation, judged: Judged) -> Diagnosis | None:
    """The part of the contract that is broken; None where only values are wrong."""
    for pattern, kind in _REASONS:
        if re.search(pattern, violation.reason):
            return Diagnosis(kind, KINDS[kind], violation.reason)
    if violation.case is None:
        return Diagnosis("unknown", "the violation has no case")
    return _memory(violation.case, judged) or _history(violation.case, judged)


def _memory(case: Case, judged: Judged) -> Diagnosis | None:
    """A result that is wrong in this layout only, and again on fresh data."""
    if case.layout == "contiguous":
        return None
    plain = replace(case, layout="contiguous")
    probes = [(case, plain), *((replace(c, layout=case.layout), c) for c in alike(plain, ("normal",) * 3))]
    seen = [(tried(a, judged), tried(b, judged)) for a, b in probes]
    pairs = [(a, b) for a, b in seen if a and b]
    worse = [a for a, b in pairs if a.wrong and not b.wrong]
    if len(worse) < 2 or not pairs or not pairs[0][0].wrong or pairs[0][1].wrong:
        return None
    evidence = f"{len(worse)} calls are wrong with {case.layout} operands and right with contiguous ones"
    made = any(np.isnan(a.results[n].astype(np.complex128)).any() for a in worse for n in a.wrong)
    if case.layout == "inset" or (made and finite(case)):
        return Diagnosis("reads outside", "reads memory beside an operand", evidence)
    return Diagnosis("memory layout ignored", f"takes {case.layout} memory for contiguous", evidence)


def _history(case: Case, judged: Judged) -> Diagnosis | None:
    """Calls that give what an earlier one should have given, or not the same each time."""
    if cost(case) > SMALL or cost(_unseen(case, 5, 0)) > LARGE:
        return _unsteady(case, judged, 4)
    for in_place in (False, True):
        found = [_second(case, 5 + i, in_place, judged) for i in range(2)]
        if found[0] is not None and found[0] == found[1]:
            return found[0]
    return _unsteady(case, judged, 16)


def _second(case: Case, seed: int, in_place: bool, judged: Judged) -> Diagnosis | None:
    """What the second of two calls of one shape uses of the first."""
    first, second = _unseen(case, seed, 0), _unseen(case, seed, 1)
    before = called(first, judged, keep=in_place)
    after = called(second, judged, before if in_place else None)
    return _mixed(after, first, second, judged) if before and after else None


def _unseen(case: Case, seed: int, turn: int) -> Case:
    """The call on larger batches and more channels than a law is likely to have used."""
    shapes = {name: a.shape for name, a in case.operands.items()}
    family = ("denseint", "normal")[turn]
    if case.operation.rank == 0:
        return filled(case, shapes, family, 2 * seed + turn)
    grown = {name: (shape[0] + 18 + seed, *shape[1:]) if name in BATCHED else shape for name, shape in shapes.items()}
    kind, w = case.operation.kind, shapes.get("weight")
    if w and kind == "conv":
        grown["weight"] = (w[0] * (2 + seed), *w[1:])
        grown |= {"bias": (w[0] * (2 + seed),)} if "bias" in shapes else {}
    return filled(case, grown, family, 2 * seed + turn)


def _mixed(call: Call, old: Case, new: Case, judged: Judged) -> Diagnosis | None:
    """Whether a result of the new call is explained by some of the old call's operands."""
    claims = judged.claims(new)
    names = list(new.operands)
    for name, actual in judge.parts(call.results).items():
        if explains(actual, expected(TRUTH, new, name, claims), new, claims) is not False:
            continue
        for size in range(len(names), 0, -1):
            for stale in combinations(names, size):
                mixed = new.with_operands(**{n: old.operands[n] for n in stale})
                if explains(actual, expected(TRUTH, mixed, name, claims), new, claims):
                    which = " and ".join(f"`{n}`" for n in stale)
                    return Diagnosis("stale result", f"uses {which} of an earlier call", "two calls of one shape")
    return None


def _unsteady(case: Case, judged: Judged, times: int) -> Diagnosis | None:
    calls = [c.results for c in (called(case, judged) for _ in range(times)) if c]
    if all(r[n].tobytes() == calls[0][n].tobytes() for r in calls for n in r):
        return None
    wrong = [not _right(case, results, judged) for results in calls]
    if any(wrong) and not all(wrong):
        said = f"{sum(wrong)} of {len(wrong)} equal calls are wrong"
        return Diagnosis("stale result", "the same call is right at one time and wrong at another", said)
    return None


def _right(case: Case, results: Mapping[str, Array], judged: Judged) -> bool:
    claims = judged.claims(case)
    parts = judge.parts(results)
    return all(explains(a, expected(TRUTH, case, n, claims), case, claims) is not False for n, a in parts.items())
