"""The calls that are tried: the failing one, the same on fresh data, larger ones, others of the operation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from hypothesis import strategies as st

from refconv import draws, exact, families, judge, strategies
from refconv.draws import Drawn
from refconv.hypotheses.fault import LARGE, TRUTH, Trial, cost, expected, explains
from refconv.law import Judged
from refconv.spec import Case, Sizes
from refconv.subject import Call, Declined, Failure

__all__ = ["BATCHED", "SMALL", "alike", "called", "drawn", "filled", "finite", "grown", "tried"]

SMALL = 6_000  # operand elements of a call that is tried in many ways
BATCHED = ("input", "grad_output")


def called(case: Case, judged: Judged, memory: Call | None = None, keep: bool = False) -> Call | None:
    """What the subject gives; None where it gives nothing."""
    try:
        return judged.subject.call(case, memory, keep)
    except (Declined, Failure, ValueError):
        return None


def tried(case: Case, judged: Judged) -> Trial | None:
    """The call, judged; None where it gives nothing."""
    call, claims = called(case, judged), judged.claims(case)
    if call is None:
        return None
    results = judge.parts(call.results)
    wrong = {n for n, a in results.items() if explains(a, expected(TRUTH, case, n, claims), case, claims) is False}
    return Trial(case, results, claims, frozenset(wrong))


def alike(case: Case, names: Sequence[str]) -> list[Case]:
    """The same call on fresh data; an empty batch is filled."""
    shapes = {name: a.shape for name, a in case.operands.items()}
    batched = case.operation.rank and case.operands["input"].shape[0] == 0
    if batched:
        shapes = {name: (3, *s[1:]) if name in BATCHED else s for name, s in shapes.items()}
    return [filled(case, shapes, name, seed) for seed, name in enumerate(names)]


def grown(case: Case) -> list[Case]:
    """The same arguments on larger images."""
    if case.operation.rank == 0 or "backward" in case.operation.kind:
        return []
    shapes = {name: a.shape for name, a in case.operands.items()}
    n, c, *size = shapes["input"]
    family = "ties" if case.operation.kind == "max_pool" else "denseint"
    out = []
    for i, more in enumerate((1, 6)):
        shapes["input"] = (max(n, 2), c, *(s + more + axis for axis, s in enumerate(size)))
        out.append(filled(case, shapes, family, 20 + i))
    return [c for c in out if cost(c) <= LARGE]


def filled(case: Case, shapes: Mapping[str, Sizes], family: str, seed: int) -> Case:
    """The call on data of a family in these shapes."""
    blank = replace(case, operands={name: np.ones(shape) for name, shape in shapes.items()}, layout="contiguous")
    operands = families.fill(family, shapes, families.Room(case.dtype, _terms(blank)), seed)
    return replace(blank, operands=operands, family=family)


def _terms(case: Case) -> int:
    if case.operation.kind == "max_pool":
        return 1
    return int(max((f.terms.max(initial=1) for f in exact.forms(case).values()), default=1))


def drawn(case: Case, judged: Judged, number: int = 30) -> list[Case]:
    """Other calls of the operation, on data that leave no room for error."""
    names = ("ties", "negative") if case.operation.kind.startswith("max_pool") else ("denseint",)
    scope = replace(judged.subject.scope, dtypes=(case.dtype,), families=names, layouts=("contiguous",), empty=False)
    found: list[Case] = []

    def keep(one: Drawn) -> bool:
        found.append(one.values["case"])
        return True

    draws.each(st.fixed_dictionaries({"case": strategies.cases(case.operation, scope)}), number, 0, keep)
    return [c for c in found if cost(c) <= SMALL]


def finite(case: Case) -> bool:
    """No operand holds an infinity or a NaN."""
    return all(bool(np.isfinite(a.astype(np.complex128)).all()) for a in case.operands.values())
