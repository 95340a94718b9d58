"""What is wrong after a violation: every hypothesis is confirmed on further calls before it is named.

A fault is named only if every wrong result met (the failing call, the same call on fresh data, other calls of the
operation) is one that a kernel with this fault can give, by the bound of the changed call. What nothing explains is
`unknown`.
"""

from __future__ import annotations

import contextlib
import io
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from refconv import families
from refconv.diagnosis import contract
from refconv.diagnosis.kinds import KINDS, Diagnosis
from refconv.hypotheses import borders, geometry, observed, operands, pooling, precision, result
from refconv.hypotheses.fault import LARGE, Fault, Trial, cost, expected, says
from refconv.hypotheses.trials import alike, drawn, finite, grown, tried
from refconv.judge import Violation
from refconv.law import Judged
from refconv.spec import Case

__all__ = ["diagnose"]

ENOUGH = 3  # wrong calls that a hypothesis must explain, the failing one included
MOST = 12  # wrong calls that a hypothesis has to explain, the failing ones included
PATIENCE = 5.0  # seconds after which no more hypotheses are tried
_FRESH = ("denseint", "denseint", "asymX", "asymW", "sparse4")
_FRESH_MAX = ("ties", "negative", "normal", "ties", "negative")


def diagnose(violation: Violation, judged: Judged) -> Diagnosis:
    """The kind of fault behind a violation. Never raises: what the subject does while it is probed is an answer too.

    The call that was found first is explained before the smallest, where more hypotheses give the same.
    """
    try:
        with _silence():
            return contract.broken(violation, judged) or _explained(violation, judged)
    except Exception as error:
        return Diagnosis("unknown", f"probing ended with {type(error).__name__}: {str(error)[:120]}")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What the subject prints while it is probed is no part of a report, on whatever level it prints."""
    sys.stdout.flush(), sys.stderr.flush()
    kept = {fd: os.dup(fd) for fd in (1, 2)}
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for fd in kept:
            os.dup2(nowhere, fd)
        with io.StringIO() as silent, contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            yield
    finally:
        for fd, copy in kept.items():
            os.dup2(copy, fd)
            os.close(copy)
        os.close(nowhere)


def _explained(violation: Violation, judged: Judged) -> Diagnosis:
    assert violation.case is not None
    first, smallest = violation.found or violation.case, violation.case
    if first.same(smallest):
        return _values(first, [], violation, judged)
    said = _values(first, [smallest], violation, judged)
    return said if said.kind != "unknown" else _values(smallest, [first], violation, judged)


def _values(case: Case, others: Sequence[Case], violation: Violation, judged: Judged) -> Diagnosis:
    """What is wrong with a call; what is named must explain the `others` known to be wrong as well."""
    maximum = case.operation.kind.startswith("max_pool")
    failing = tried(case, judged)
    fresh: tuple[str, ...] = _FRESH_MAX if maximum else _FRESH
    own = (case.family,) * 2 if case.family in families.FAMILIES else ()
    fresh = (*own, *fresh)[:3] if cost(case) > LARGE else (*own, *fresh)
    near = [t for c in alike(case, fresh) if (t := tried(c, judged))]
    name = _named(violation, failing, near)
    if failing and not finite(case) and not any(t.wrong for t in near):
        return Diagnosis("NaN handling", "wrong only where an operand is not finite", f"{len(near)} finite calls right")
    more = [t for c in (*others, *grown(case), *drawn(case, judged)) if (t := tried(c, judged))]
    trials = [t for t in [*([failing] if failing else []), *near, *more] if name in t.results]
    wrong = sorted((t for t in trials if name in t.wrong), key=lambda t: t.cost)
    if wrong and all(t.results[name].size == 0 and t.results[name].shape != t.case.shapes[name] for t in wrong):
        return Diagnosis(
            "output size rule", "wrong shape only where there is no image", f"{len(near)} filled calls right"
        )
    if not wrong:
        return Diagnosis("unknown", "no call that was tried again is wrong")
    same = [t for t in trials[: len(near) + (failing is not None)] if name in t.wrong]
    spared = [t for t in near if name in t.results and name not in t.wrong]
    right = sorted((t for t in trials if name not in t.wrong), key=lambda t: t.cost)
    search = _Search(name, _fewer(wrong, same, failing), same, right, spared)
    for faults in (_structure(case, name, same, judged), precision.faults(case, name, judged)):
        found, complete = search.best(faults)
        if found:
            return found
        if not complete:
            return Diagnosis("unknown", "the calls are too large to try every hypothesis")
    return Diagnosis("unknown", KINDS["unknown"], f"{len(wrong)} of {len(trials)} calls tried are wrong")


def _fewer(wrong: list[Trial], same: list[Trial], failing: Trial | None) -> list[Trial]:
    if len(wrong) <= MOST:
        return wrong
    must = same[: 1 + (failing is not None)]
    rest = [t for t in wrong if all(t is not m for m in must)]
    return [*rest[:: -(-len(rest) // (MOST - len(must)))], *must]  # cheap ones and dear ones


def _named(violation: Violation, failing: Trial | None, near: Sequence[Trial]) -> str:
    """The result to explain: the one that was convicted, or the first that is wrong."""
    trials = [t for t in (failing, *near) if t]
    wrong = [n for t in trials for n in sorted(t.wrong)]
    if violation.result in wrong:
        return violation.result
    return wrong[0] if wrong else next((n for t in trials for n in t.results), "output")


@dataclass(frozen=True)
class _Search:
    """The trials that every hypothesis is held against."""

    name: str
    wrong: list[Trial]  # cheapest first
    same: list[Trial]  # those of the failing call's shapes
    right: list[Trial]
    spared: list[Trial]  # right ones of the failing call's shapes

    def best(self, faults: Iterator[Fault]) -> tuple[Diagnosis | None, bool]:
        """The best confirmed hypothesis, and whether all were tried."""
        order, found, until = list(KINDS), [], time.perf_counter() + PATIENCE
        complete = True
        for i, fault in enumerate(faults):
            if (score := self._score(fault, until)) is not None:
                found.append((*score, order.index(fault.kind), i, fault))
            complete = time.perf_counter() < until
            if not complete:
                break
        if not found:
            return None, complete
        found.sort(key=lambda row: row[:4])
        first = found[0]
        fault = first[4]
        rivals = [f for *score, _, _, f in found if score == list(first[:2]) and f.kind != fault.kind]
        words = fault.words + (f"; equally: {rivals[0].words}" if rivals else "")
        evidence = f"explains what {-first[0]} wrong calls gave, and none tried speaks against it"
        return Diagnosis(fault.kind, words, evidence), complete

    def _score(self, fault: Fault, until: float) -> tuple[int, int] | None:
        """(-trials explained, right trials that should be wrong); None where a wrong one is not explained."""
        trials = self.same if fault.here else self.wrong
        explained, shown = 0, fault.needs is None
        for trial in trials:
            if time.perf_counter() > until:
                return None
            said = says(fault, trial, self.name)
            if said is False or (said is None and trial.results[self.name].size and not fault.claims):
                return None
            explained += bool(said)
            shown = shown or (fault.needs is not None and fault.needs(trial, self.name))
        if explained < ENOUGH or not shown or any(self._excludes(fault, t) for t in self.spared):
            return None
        against = 0 if fault.here else sum(says(fault, t, self.name) is False for t in self.right)
        return -explained, against

    def _excludes(self, fault: Fault, trial: Trial) -> bool:
        """Whether a right result of a call like the failing one could not come from a kernel with the fault."""
        if "accumulate" not in fault.claims:
            return says(fault, trial, self.name) is False
        expect = expected(fault, trial.case, self.name, trial.claims)
        return expect is not None and expect.low.size > 3 and bool((expect.high > expect.low).mean() > 0.5)


def _structure(case: Case, name: str, same: Sequence[Trial], judged: Judged) -> Iterator[Fault]:
    """Something else is computed; `precision` is asked only where none of these explains every wrong call."""
    yield from geometry.faults(case)
    yield from operands.faults(case)
    yield from borders.faults(case)
    yield from result.faults(case)
    yield from pooling.faults(case)
    yield from observed.faults(name, same, judged)
