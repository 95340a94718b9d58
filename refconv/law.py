"""Turns a function into a law: draws its cases, calls the subject, counts, and brings a violation down to size."""

from __future__ import annotations

import inspect
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, errors, settings
from hypothesis import strategies as st
from hypothesis.internal.conjecture import providers

from refconv import judge, shrink, strategies
from refconv.bound import Claims
from refconv.dtypes import Array
from refconv.judge import Interval, Violation
from refconv.precision import Ladder, Rung
from refconv.sensitivity import Sensitivity
from refconv.spec import OPERATIONS, Case, Operation
from refconv.strategies import Scope
from refconv.subject import Call, Declined, Failure, Subject

__all__ = ["Effort", "Judged", "Law", "NotApplicable", "Record", "law"]

Draw = Callable[[Operation, Scope], st.SearchStrategy[Any]]


class NotApplicable(Declined):
    """The subject lacks an operation that the law compares with, or an argument it changes is held fast."""


ENOUGH = 5  # accepted cases below which a law is not verified
PATIENCE = 20.0  # seconds after which a violation is not brought down further
ROUNDS = 8  # how often more cases are drawn when a subject declines most of them


@dataclass(frozen=True)
class Effort:
    """How many cases a law draws (a law may ask for a share of them), from which seed, and whether it shrinks."""

    examples: int = 40
    seed: int = 0
    shrinks: bool = True


@dataclass
class Record:
    """What one law found on one operation of one subject."""

    law: str
    chapter: str
    statement: str
    subject: str
    operation: str
    required: bool
    cases: int = 0
    accepted: int = 0
    declined: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    dtypes: Counter[str] = field(default_factory=Counter)
    worst: float | None = None
    rows: set[tuple[tuple[str, str], ...]] = field(default_factory=set)  # features of the accepted cases
    missing: int = 0  # declined for want of an operation, a claim, or the freedom to change an argument
    # verified, violated, unverified, not applicable; absent: a characteristic that does not hold
    status: str = "unverified"
    violation: Violation | None = None
    values: dict[str, Any] = field(default_factory=dict)  # what was drawn when it was broken, the case included
    expected: str = ""  # why it is known that the law is broken, where it is
    folder: str = ""  # where the violation can be seen again
    diagnosis: Any = None  # a diagnose.Diagnosis of the violation, where one was asked for
    classes: dict[str, Rung | None] = field(default_factory=dict)  # by dtype, of all laws on the operation so far
    sensitivity: Sensitivity = field(default_factory=Sensitivity)  # likewise
    seconds: float = 0.0

    def accept(self, case: Case | None, note: Any) -> None:
        self.accepted += 1
        if case is not None:
            self.dtypes[case.dtype] += 1
            self.rows.add(case.features)
        if isinstance(note, float):
            self.worst = max(note, self.worst or 0.0)

    def decline(self, reason: str) -> None:
        self.declined += 1
        if len(self.reasons) < 20 or reason in self.reasons:
            self.reasons[reason] += 1


@dataclass(frozen=True)
class Judged:
    """One operation of a subject, as laws call it: the contract that every call keeps is checked on every call."""

    subject: Subject
    operation: Operation
    effort: Effort = field(default_factory=Effort)
    ladder: Ladder = field(default_factory=Ladder, compare=False)
    sensitivity: Sensitivity = field(default_factory=Sensitivity, compare=False)

    def __call__(self, case: Case) -> dict[str, Array]:
        return self.call(case).results

    def call(self, case: Case, memory: Call | None = None, **how: bool) -> Call:
        """Raises Declined, or a Violation where the call fails, has the wrong form or changes its operands.

        `keep` and `watch` as in `Subject.call`.
        """
        _check_held(case, self.subject.scope)
        try:
            call = self.subject.call(case, memory, **how)
        except Failure as failure:
            raise Violation(str(failure), case) from failure
        judge.form(call.results, case)
        judge.untouched(call.handed, case)
        return call

    def attempt(self, case: Case) -> dict[str, Array]:
        """One call that may be impossible: whatever the subject raises goes through, NotApplicable as in `call`."""
        _check_held(case, self.subject.scope)
        return self.subject.attempt(case)

    def one(self, case: Case) -> Array:
        """The only result."""
        (result,) = self(case).values()
        return result

    def claims(self, case: Case) -> Claims:
        return self.subject.claims_for(case)

    def enclosed(self, case: Case) -> dict[str, Interval]:
        """The intervals of exact values that explain the results."""
        return judge.enclosures(self(case), case, self.claims(case))

    def observe(self, case: Case, results: dict[str, Array]) -> None:
        """Take the precision of one call into account; a maximum rounds nothing."""
        if self.operation.kind != "max_pool":
            self.ladder.observe(case, results, self.claims(case))

    def sibling(self, name: str) -> Judged:
        """Another operation of the same subject; the law is declined where there is none."""
        if OPERATIONS[name] not in self.subject.operations:
            raise NotApplicable(f"has no {name}")
        return Judged(self.subject, OPERATIONS[name], self.effort)


@dataclass(frozen=True)
class Law:
    """A law's body and what it draws."""

    body: Callable[..., Any]
    draws: dict[str, Any]
    characteristic: str
    share: float

    def required(self, claims: Claims) -> bool:
        return not self.characteristic or bool(_claimed(claims, self.characteristic))

    def run(self, judged: Judged, name: str, chapter: str) -> Record:
        """Judge one operation; the record says what was found, the violation included."""
        record = self._record(judged, name, chapter)
        required = record.required
        started = time.perf_counter()
        for turn in range(ROUNDS):
            record.violation = self._search(judged, record, turn)
            never = record.missing and not record.accepted
            if record.violation is not None or record.accepted >= ENOUGH or not record.declined or never:
                break
        if record.violation is not None:
            record.status = "violated" if required else "absent"
        elif record.accepted >= min(ENOUGH, record.cases):
            record.status = "verified" if record.accepted else "unverified"
        elif record.missing and (never or record.missing == record.declined):
            record.status = "not applicable"  # what was accepted changed nothing that is held fast, by chance
        record.classes, record.sensitivity = judged.ladder.classes(), judged.sensitivity
        record.seconds = time.perf_counter() - started
        return record

    def skipped(self, judged: Judged, reason: str, name: str, chapter: str) -> Record:
        """The record of a law that is not asked for."""
        record = self._record(judged, name, chapter)
        record.decline(reason)
        return record

    def _record(self, judged: Judged, name: str, chapter: str) -> Record:
        statement = (inspect.getdoc(self.body) or "").partition("\n")[0]
        required = self.required(judged.subject.claims)
        return Record(name, chapter, statement, judged.subject.name, judged.operation.name, required)

    def _search(self, judged: Judged, record: Record, turn: int) -> Violation | None:
        scope = judged.subject.scope
        drawn = {n: d(judged.operation, scope) if callable(d) else d for n, d in self.draws.items()}
        smallest: list[Violation] = []
        first: list[Case | None] = []
        until: list[float] = []
        latest: dict[str, Any] = {}  # what was drawn when a violation was last seen

        def attempt(**values: Any) -> None:
            case = values.get("case")
            if smallest and time.perf_counter() > until[0] and case is not None:
                if smallest[0].case is not None and case.same(smallest[0].case):
                    raise smallest[0]  # what Hypothesis asks for again in the end
                return
            drawn = not smallest  # what comes after a violation is the search for a smaller one: not counted
            record.cases += drawn
            try:
                note = self.body(judged, **values)
                if drawn:
                    record.accept(case, note)
            except Declined as declined:
                if drawn:
                    record.decline(str(declined))
                    record.missing += isinstance(declined, NotApplicable)
            except Violation as violation:
                violation.case = violation.case or case
                latest.update(values)
                until.append(time.perf_counter() + PATIENCE)
                first.append(violation.case)
                if not smallest or _size(violation) <= _size(smallest[0]):
                    smallest[:] = [violation]
                raise

        effort = judged.effort
        shrinks = effort.shrinks and record.required
        phases = (Phase.explicit, Phase.generate, *((Phase.shrink,) if shrinks else ()))
        chosen = settings(
            max_examples=max(1, round(effort.examples * self.share)),
            phases=phases,
            deadline=None,
            database=None,
            derandomize=False,
            report_multiple_bugs=False,
            suppress_health_check=list(HealthCheck),
            print_blob=False,
        )
        # a lambda, because Hypothesis reads the source of what it runs, and that of `attempt` takes it long
        run = chosen(hypothesis.given(**drawn)(lambda **values: attempt(**values)))
        key = f"{effort.seed + turn}:{record.law}:{record.operation}"
        try:
            with _whatever_is_loaded():
                hypothesis.seed(zlib.crc32(key.encode()))(run)()
        except Violation as violation:
            violation.found = first[0] if shrinks else violation.case
            record.values = dict(latest)
            small = self._simplify(judged, violation, latest, until[0]) if shrinks else violation
            if small is not violation:
                record.values["case"] = small.case
            return small
        except errors.Flaky:
            if not smallest:
                raise
            smallest[0].reason += " (not on every call)"
            smallest[0].found = first[0]
            record.values = dict(latest)
            return smallest[0]
        return None

    def _simplify(self, judged: Judged, violation: Violation, values: dict[str, Any], until: float) -> Violation:
        if violation.case is None or violation.case is not values.get("case"):
            return violation

        def fails(case: Case) -> Violation | None:
            try:
                self.body(judged, **{**values, "case": case})
            except Violation as found:
                found.case = found.case or case
                return found if found.case is case else None
            except Declined:
                pass
            return None

        # other strategies promise their laws more than that a call is legal
        return shrink.simplify(violation, fails, self.draws.get("case") is strategies.cases, until=until)


@contextmanager
def _whatever_is_loaded() -> Iterator[None]:
    """Hypothesis mixes numbers that it finds in loaded code into what it draws: here it finds none.

    A seed would otherwise draw other cases with every line that refconv or a subject gains.
    """
    found = getattr(providers, "_get_local_constants", None)
    if found is None or not hasattr(providers, "Constants"):  # a version that does not
        yield
        return
    nothing = providers.Constants()
    providers.CONSTANTS_CACHE.cache.clear()
    providers._get_local_constants = lambda: nothing
    try:
        yield
    finally:
        providers._get_local_constants = found
        providers.CONSTANTS_CACHE.cache.clear()


def _size(violation: Violation) -> int:
    return sum(a.size for a in violation.case.operands.values()) if violation.case else 0


def _check_held(case: Case, scope: Scope) -> None:
    """A call derived from another is declined where it changes what is held fast, or asks what rules differ on."""
    differ = scope.ceil_rule == "extra" and case.arguments.get("ceil_mode")
    if differ and case.pool.drops_a_window(case.operands["input"].shape[2:]):
        raise NotApplicable("the rules of ceil mode differ")
    for name, value in scope.fix.items():
        if name in ("dilation", "count_include_pad") and name not in case.operation.arguments:
            continue  # not every pooling has it
        fact = case.facts.get(name, value)
        held = (value,) * len(fact) if isinstance(fact, tuple) and not isinstance(value, (tuple, str)) else value
        if name == "padding" and isinstance(fact, tuple):
            by_name = isinstance(value, str)  # "same": no numbers in its stead
            held = (fact if case.settings[name] == value else None) if by_name else tuple((p, p) for p in held)
        if fact != held:
            raise NotApplicable(f"`{name}` is held fast")


def _claimed(claims: Claims, characteristic: str) -> bool:
    """`deterministic`, or `subnormals=ieee`."""
    name, _, value = characteristic.partition("=")
    said = getattr(claims, name, False)
    return said == value if value else bool(said)


def law(*, characteristic: str = "", share: float = 0.25, **draws: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a test of a function whose first parameter names the kind of operation it is a law of.

    The other parameters are drawn: each keyword gives a strategy, or a function of (operation, scope) that
    returns one. A characteristic decides only when the claim of that name is made. `share` is the law's part
    of the examples of the chosen effort. A law that returns a number reports the largest one.
    """

    def decorate(body: Callable[..., Any]) -> Any:
        kind = next(iter(inspect.signature(body).parameters))
        rule = Law(body, draws, characteristic, share)

        def judge_one(**arguments: Any) -> None:
            record = test.run(arguments[kind])
            if record.status == "violated" and record.violation is not None:
                raise record.violation.with_traceback(None)

        test: Any = judge_one  # with attributes beside those of a function
        about = body.__name__.removeprefix("test_"), _chapter(body.__module__)
        test.kind, test.run = kind, lambda judged: rule.run(judged, *about)
        test.again = lambda judged, values: body(judged, **values)
        test.skipped = lambda judged, reason: rule.skipped(judged, reason, *about)
        test.__signature__ = inspect.Signature([inspect.Parameter(kind, inspect.Parameter.KEYWORD_ONLY)])
        test.__name__ = test.__qualname__ = body.__name__
        test.__module__, test.__doc__ = body.__module__, body.__doc__
        return test

    return decorate


def _chapter(module: str) -> str:
    return module.rpartition(".")[2].removeprefix("test_")
