"""The verdict on each subject, from what every law found."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from refconv.cover import triples_of
from refconv.diagnosis.search import diagnose
from refconv.law import Judged, Record
from refconv.precision import Rung
from refconv.reproduce import described
from refconv.sensitivity import Sensitivity
from refconv.spec import OPERATIONS, Case
from refconv.strategies import plan
from refconv.subject import Subject
from refconv.xfails import Xfail

__all__ = ["EXIT_CODES", "Verdict", "as_json", "environment", "judge", "law_as_json"]

KNOWN = "correct but for known failures"
EXIT_CODES = {"wrong": 1, "not verified": 5, KNOWN: 0, "correct": 0}  # the worst first
SCHEMA = 1
CENTRAL = "every_element_is_within_the_allowed_error"
OBSERVATION = "precision_and_sensitivity_are_found_out"  # neither holds nor fails


@dataclass(frozen=True)
class Verdict:
    """correct, wrong or not verified, with the records it rests on."""

    subject: Subject
    records: Sequence[Record]
    seconds: float = 0.0
    seed: int = 0
    profile: str = ""
    complete: bool = True  # whether every law was judged to its end
    xfails: Sequence[Xfail] = ()  # what is known to fail

    @property
    def status(self) -> str:
        """Wrong where a required law is broken; correct where every operation was judged against its exact values.

        A law that is known to be broken does not decide, but is not passed over either.
        """
        if self.violations:
            return "wrong"
        decided = [*(r for r in self.records if r.status == "verified"), *self.known]
        held = {r.operation for r in decided if r.law == CENTRAL}
        sure = self.complete and held and held == set(self.operations) and not self.blind
        return "not verified" if not sure else KNOWN if self.known else "correct"

    @property
    def words(self) -> str:
        """The status, with the number of known failures where there are any."""
        count = len(self.known)
        return f"correct but for {count} known failure{'s' * (count > 1)}" if self.status == KNOWN else self.status

    @property
    def sensitivity(self) -> dict[str, Sensitivity]:
        """For each operation, which standard faults its cases would have caught."""
        return {r.operation: r.sensitivity for r in self.records}

    @property
    def blind(self) -> list[str]:
        """Operations on whose cases a standard fault would have gone by."""
        return [op for op, s in self.sensitivity.items() if not s.sufficient(self.subject.claims)]

    @property
    def operations(self) -> list[str]:
        return list(dict.fromkeys(r.operation for r in self.records))

    @property
    def violations(self) -> list[Record]:
        """Laws that are broken and were not known to be, the central one and the smallest cases first."""
        broken = [r for r in self.records if r.status == "violated" and not r.expected]
        return sorted(broken, key=lambda r: (r.law != CENTRAL, _elements(r.violation.case if r.violation else None)))

    @property
    def known(self) -> list[Record]:
        """Laws that are broken as expected."""
        return [r for r in self.records if r.status == "violated" and r.expected]

    def still_fails(self, entry: Xfail) -> bool | None:
        """Whether a law that the entry covers is broken; None where none of them was judged."""
        found = {r.status for r in self.records if entry.covers(r.operation, r.law)}
        return True if found & {"violated", "absent"} else False if "verified" in found else None

    @property
    def unexpected_passes(self) -> list[Xfail]:
        """What was known to fail and does not any more."""
        return [entry for entry in self.xfails if self.still_fails(entry) is False]

    @property
    def unverified(self) -> list[Record]:
        return [r for r in self.records if r.status == "unverified"]

    @property
    def characteristics(self) -> dict[str, Counter[str]]:
        """For each law that did not decide: how many operations hold it (verified) and how many do not (absent)."""
        out: dict[str, Counter[str]] = {}
        for r in self.records:
            if not r.required and r.law != OBSERVATION:
                out.setdefault(r.law, Counter())[r.status] += 1
        return out

    @property
    def classes(self) -> dict[tuple[str, str], Rung | None]:
        """The strictest precision class of each operation and dtype; None where none explains the results."""
        return {(r.operation, dtype): rung for r in self.records for dtype, rung in r.classes.items()}

    def coverage(self, operation: str) -> tuple[int, int]:
        """Feature triples exercised on accepted cases, and feasible ones."""
        rows = {row for r in self.records if r.operation == operation for row in r.rows}
        seen = {t for row in rows for t in triples_of(dict(row))}
        wanted = plan(operation, self.subject.scope).triples()
        return len(seen & wanted), len(wanted)


def judge(subjects: Iterable[Subject], records: Sequence[Record], **about: Any) -> list[Verdict]:
    """One verdict for each subject."""
    verdicts = [Verdict(s, [r for r in records if r.subject == s.name], **about) for s in subjects]
    for verdict in verdicts:
        _explain(verdict)
    return verdicts


def _explain(verdict: Verdict) -> None:
    """Say what is wrong with each operation, from the violation that is shown for it."""
    first = {r.operation: r for r in reversed(verdict.violations)}
    for record in first.values():
        if record.violation is not None and record.diagnosis is None:
            record.diagnosis = diagnose(record.violation, Judged(verdict.subject, OPERATIONS[record.operation]))


def _elements(case: Case | None) -> int:
    return sum(a.size for a in case.operands.values()) if case else 0


# ----------------------------------------------------------------------------------------------- as JSON


def as_json(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Everything found, in plain types; numbers that JSON has not (NaN, infinities) as text."""
    return {"schema": SCHEMA, "environment": environment(), "verdicts": [_verdict(v) for v in verdicts]}


def environment() -> dict[str, str]:
    """What the verdict was reached with."""
    out = {"python": platform.python_version(), "machine": platform.machine(), "system": platform.system()}
    for package in ("refconv", "numpy", "scipy", "hypothesis", "torch"):
        try:
            out[package] = version(package)
        except PackageNotFoundError:
            continue
    return out


def _verdict(v: Verdict) -> dict[str, Any]:
    return {
        "subject": v.subject.name,
        "verdict": v.status,
        "complete": v.complete,
        "claims": {k: getattr(v.subject.claims, k) for k in v.subject.claims.__dataclass_fields__},
        "dtypes": list(v.subject.scope.dtypes),
        "array": v.subject.array,
        "device": v.subject.device,
        "layout": v.subject.layout,
        "interpreter": v.subject.interpreter and vars(v.subject.interpreter),
        "fix": {k: list(f) if isinstance(f, tuple) else f for k, f in v.subject.scope.fix.items()},
        "profile": v.profile,
        "seed": v.seed,
        "seconds": round(v.seconds, 3),
        "coverage": {op: dict(zip(("exercised", "feasible"), v.coverage(op), strict=True)) for op in v.operations},
        "precision": [
            {"operation": op, "dtype": dtype, "class": rung and rung.words, "claims": rung and dict(rung.claims)}
            for (op, dtype), rung in v.classes.items()
        ],
        "sensitivity": [
            {"operation": op, "fault": fault, "meant": s.meant[fault], "caught": s.caught[fault]}
            for op, s in v.sensitivity.items()
            for fault in s.meant
        ],
        "xfails": [
            {"operation": x.operation, "law": x.law, "reason": x.reason, "still_fails": v.still_fails(x)}
            for x in v.xfails
        ],
        "laws": [law_as_json(r) for r in v.records],
    }


def law_as_json(r: Record) -> dict[str, Any]:
    """One law on one operation, as it stands in a verdict."""
    return {
        "law": r.law,
        "chapter": r.chapter,
        "statement": r.statement,
        "operation": r.operation,
        "required": r.required,
        "status": r.status,
        "expected": r.expected or None,
        "cases": r.cases,
        "accepted": r.accepted,
        "declined": r.declined,
        "reasons": dict(r.reasons),
        "dtypes": dict(r.dtypes),
        "worst": _number(r.worst),
        "errors": {str(tenths): n for tenths, n in sorted(r.errors.items())},
        "seconds": round(r.seconds, 3),
        "violation": None if r.violation is None else _violation(r.violation),
        "folder": r.folder or None,
        "diagnosis": None if r.diagnosis is None else vars(r.diagnosis),
    }


def _violation(v: Any) -> dict[str, Any]:
    case = v.case
    return {
        "reason": v.reason,
        "result": v.result,
        "index": list(v.index),
        "got": _number(v.got),
        "exact": _number(v.exact),
        "allowed": _number(v.allowed),
        "wrong": v.wrong,
        "of": v.of,
        "case": None if case is None else _case(case),
        "before": [_case(one) for one in v.before],
        "printed": v.printed,
    }


def _case(case: Case) -> dict[str, Any]:
    operands = {name: {"shape": list(a.shape), "values": _values(a)} for name, a in case.operands.items()}
    return {**described(case), "features": dict(case.features), "operands": operands}


def _values(array: Any) -> list[Any]:
    if np.iscomplexobj(array):
        return [str(v) for v in array.ravel().tolist()]
    return [_number(float(v)) for v in array.ravel()]


def _number(value: Any) -> Any:
    if isinstance(value, (float, np.floating)):
        return float(value) if np.isfinite(value) else str(float(value))
    return value
