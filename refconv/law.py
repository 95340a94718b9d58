"""Turns a function into a law: draws its cases, calls the subject, counts, and brings a violation down to size."""

from __future__ import annotations

import contextlib
import inspect
import math
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase, InMemoryExampleDatabase

from refconv import draws, judge, shrink, strategies
from refconv.claims import Claims
from refconv.draws import Drawn, Values
from refconv.dtypes import Array
from refconv.features import Scope
from refconv.judge import Interval, Violation
from refconv.precision import Ladder, Rung
from refconv.sensitivity import Sensitivity
from refconv.spec import OPERATIONS, Case, Operation
from refconv.subject import Call, Declined, Failure, Subject

__all__ = ["Effort", "Interrupted", "Judged", "Law", "NotApplicable", "Record", "law"]

Draw = Callable[[Operation, Scope], st.SearchStrategy[Any]]


class NotApplicable(Declined):
    """The subject lacks an operation that the law compares with, or an argument it changes is held fast."""


ENOUGH = 5  # accepted cases below which a law is not verified
PATIENCE = 20.0  # seconds after which a violation is not brought down further
ROUNDS = 8  # how often more cases are drawn when a subject declines most of them


@dataclass(frozen=True)
class Effort:
    """How many cases a law draws (a law may ask for a share of them), from which seed, whether it shrinks.

    With no examples only what is known to have broken it is asked.
    """

    examples: int = 40
    seed: int = 0
    shrinks: bool = True
    # what broke a law before, asked for first
    known: ExampleDatabase = field(default_factory=InMemoryExampleDatabase, compare=False)


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
    errors: Counter[int] = field(default_factory=Counter)  # the largest of each case, in tenths rounded up
    rows: set[tuple[tuple[str, str], ...]] = field(default_factory=set)  # features of the accepted cases
    missing: int = 0  # declined for want of an operation, a claim, or the freedom to change an argument
    # verified, violated, unverified, not applicable; absent: a characteristic that does not hold
    status: str = "unverified"
    violation: Violation | None = None
    values: dict[str, Any] = field(default_factory=dict)  # what was drawn when it was broken, the case included
    choices: tuple[Any, ...] = ()  # by which Hypothesis draws what broke it first
    expected: str = ""  # why it is known that the law is broken, where it is
    folder: str = ""  # where the violation can be seen again
    diagnosis: Any = None  # a diagnosis.kinds.Diagnosis of the violation, where one was asked for
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
            self.errors[math.ceil(10 * note)] += 1

    def decline(self, reason: str) -> None:
        self.declined += 1
        if len(self.reasons) < 20 or reason in self.reasons:
            self.reasons[reason] += 1


class Interrupted(KeyboardInterrupt):
    """Ctrl-C while a law was judged, with the record of what was found until then."""

    def __init__(self, record: Record) -> None:
        super().__init__()
        self.record = record


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

    def warm(self, calls: Sequence[Case]) -> None:
        """Call for these cases, whatever comes of it."""
        for case in calls:
            with contextlib.suppress(Declined, Violation):
                self.call(case)

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
        started = time.perf_counter()
        for turn in range(ROUNDS):
            try:
                record.violation = self._search(judged, record, turn)
            except KeyboardInterrupt:  # what was found until then is not lost
                raise Interrupted(self._ended(judged, record, started)) from None
            never = record.missing and not record.accepted
            if record.violation is not None or record.accepted >= ENOUGH or not record.declined or never:
                break
        return self._ended(judged, record, started)

    def _ended(self, judged: Judged, record: Record, started: float) -> Record:
        """The record with what follows from the cases."""
        if record.violation is not None:
            record.status = "violated" if record.required else "absent"
        elif record.accepted >= min(ENOUGH, record.cases):
            record.status = "verified" if record.accepted else "unverified"
        elif record.missing and (not record.accepted or record.missing == record.declined):
            record.status = "not applicable"  # what was accepted changed nothing that is held fast, by chance
        record.classes, record.sensitivity = judged.ladder.classes(), judged.sensitivity
        record.seconds = time.perf_counter() - started
        return record

    def remembered(self, judged: Judged, name: str) -> bool:
        """Whether it is known how the law was broken in an earlier run."""
        return draws.known(judged.effort.known, _key(judged, name))

    def remember(self, judged: Judged, record: Record, name: str) -> None:
        """Keep what broke the law, as it was found, for whoever asks the same database."""
        draws.remember(Drawn(record.values, record.choices), judged.effort.known, _key(judged, name))

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
        """The first violation among the cases of one turn, as small as it gets."""
        effort, broken = judged.effort, list[tuple[Violation, Drawn]]()
        values, earlier = self.values(judged), judged.subject.history

        def look(drawn: Drawn) -> bool:
            nonlocal earlier
            if broken:  # Hypothesis asks twice for what it remembers
                return False
            earlier = judged.subject.history
            record.cases += 1
            if (violation := self._ask(judged, drawn.values, record)) is not None:
                broken.append((violation, drawn))
            return violation is None

        if not turn:
            draws.recall(values, effort.known, _key(judged, record.law), look)
        if not broken and effort.examples:
            key = zlib.crc32(f"{effort.seed + turn}:{record.law}:{record.operation}".encode())
            count = max(1, round(effort.examples * self.share))
            draws.each(values, max(count, ENOUGH) if turn else count, key, look)
        if not broken:
            return None
        violation, drawn = broken[0]
        violation.found, record.values, record.violation = violation.case, drawn.values, violation
        record.choices = drawn.choices
        if not (effort.shrinks and record.required):
            return violation
        small, always = self._smaller(judged, record, violation, drawn)
        if always and self._alone(judged, record.values):
            return small
        calls = self._needed(judged, drawn.values, earlier)
        if calls is None:
            small.reason += " (not on every call)"
            return small
        violation.before, record.values = tuple(calls), drawn.values
        return violation

    def values(self, judged: Judged) -> st.SearchStrategy[Values]:
        """What is drawn for one judgement, by name."""
        scope = judged.subject.scope
        return st.fixed_dictionaries(
            {n: d(judged.operation, scope) if callable(d) else d for n, d in self.draws.items()}
        )

    def _ask(self, judged: Judged, values: Values, record: Record | None = None) -> Violation | None:
        """How the law is broken by these values; what comes of them otherwise goes into the record."""
        case = values.get("case")
        try:
            note = self.body(judged, **values)
        except Declined as declined:
            if record is not None:
                record.decline(str(declined))
                record.missing += isinstance(declined, NotApplicable)
        except Violation as violation:
            violation.case = violation.case or case
            return violation
        else:
            if record is not None:
                record.accept(case, note)
        return None

    def _smaller(self, judged: Judged, record: Record, violation: Violation, drawn: Drawn) -> tuple[Violation, bool]:
        """The smallest violation that is found, and whether it was one each time; `record.values` lead to it.

        Calls of any kind `shrink` makes smaller by itself. Other strategies promise their laws more than that a call
        is legal: there Hypothesis draws smaller ones, and then values are made plain.
        """
        until = time.perf_counter() + PATIENCE
        if plain := self.draws.get("case") is strategies.cases:
            draws.remember(drawn, judged.effort.known, _key(judged, record.law))
            small, always = violation, self._ask(judged, drawn.values) is not None
        else:
            small, always = self._drawn_smaller(judged, record, violation, drawn, until)
        small.found = violation.case
        if not always:
            return small, False
        simple = self._simplify(judged, small, record.values, plain, until)
        if simple is not small:
            record.values = {**record.values, "case": simple.case}
        return simple, True

    def _drawn_smaller(
        self, judged: Judged, record: Record, violation: Violation, drawn: Drawn, until: float
    ) -> tuple[Violation, bool]:
        smallest = violation

        def fails(values: Values) -> bool:
            nonlocal smallest
            case = values.get("case")
            if time.perf_counter() > until and case is not None:  # but what Hypothesis asks for again in the end
                return smallest.case is not None and case.same(smallest.case)
            found = self._ask(judged, values)
            if found is not None and _size(found) <= _size(smallest):
                smallest, record.values = found, dict(values)
            return found is not None

        always = draws.shrink(self.values(judged), drawn, fails, judged.effort.known, _key(judged, record.law))
        return smallest, always

    def _alone(self, judged: Judged, values: Values) -> bool:
        """Whether a subject that has been called for nothing else breaks the law too, as far as that can be tried."""
        return not judged.subject.renewed() or self._ask(judged, values) is not None

    def _needed(self, judged: Judged, values: Values, earlier: Sequence[Case]) -> Sequence[Case] | None:
        """The fewest of the calls before, after which the law is broken by these values; None where none are known."""

        def fails(calls: Sequence[Case]) -> bool:
            judged.subject.renewed()
            judged.warm(calls)
            return self._ask(judged, values) is not None

        if not judged.subject.renewed():
            return None
        return shrink.earlier(earlier, fails, time.perf_counter() + PATIENCE)

    def _simplify(self, judged: Judged, violation: Violation, values: Values, shapes: bool, until: float) -> Violation:
        if violation.case is None or violation.case is not values.get("case"):
            return violation

        def fails(case: Case) -> Violation | None:
            found = self._ask(judged, {**values, "case": case})
            return found if found is not None and found.case is case else None

        return shrink.simplify(violation, fails, shapes, until=until)


def _key(judged: Judged, name: str) -> bytes:
    """Under which a violation is remembered from one run to the next."""
    return f"{judged.subject.name} {judged.operation.name} {name}".encode()


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
        test.kind, test.chapter, test.run = kind, about[1], lambda judged: rule.run(judged, *about)
        test.again = lambda judged, values: body(judged, **values)
        test.skipped = lambda judged, reason: rule.skipped(judged, reason, *about)
        test.remembered = lambda judged: rule.remembered(judged, about[0])
        test.remember = lambda judged, record: rule.remember(judged, record, about[0])
        test.__signature__ = inspect.Signature([inspect.Parameter(kind, inspect.Parameter.KEYWORD_ONLY)])
        test.__name__ = test.__qualname__ = body.__name__
        test.__module__, test.__doc__ = body.__module__, body.__doc__
        return test

    return decorate


def _chapter(module: str) -> str:
    return module.rpartition(".")[2].removeprefix("test_")
