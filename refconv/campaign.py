"""Cuts the judgement of one subject into shards that anybody may judge, and adds up what they find in any order.

A shard is an operation, a law and a range of seeds. What is found in it depends on nothing else: on no other shard, on
no clock, on nothing that is remembered from before. Each shard begins with a subject that was never called and ends at
its first violation, so that a law that is broken everywhere does not take the time of those that hold.
"""

from __future__ import annotations

import base64
import hashlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from hypothesis.database import DirectoryBasedExampleDatabase, ExampleDatabase

from refconv import chapters, reproduce
from refconv.diagnosis.search import diagnose
from refconv.judge import Violation
from refconv.law import Effort, Judged, Record
from refconv.options import PROFILES, subjects
from refconv.report.terminal import evidence
from refconv.sensitivity import FAULTS, Sensitivity
from refconv.spec import OPERATIONS, Case, Operation
from refconv.subject import Subject, TargetError
from refconv.verdict import CENTRAL, Verdict, environment, law_as_json
from refconv.xfails import Xfail, covering

__all__ = [
    "Finding",
    "Found",
    "Plain",
    "Plan",
    "Row",
    "Shard",
    "Smallest",
    "database",
    "made_with",
    "name_of",
    "shards",
    "work",
]

WORST = ("violated", "absent", "verified", "unverified", "not applicable")  # what shards say of a law; the first counts

UNTOLD = ("unknown", "remembered")  # kinds that say nothing of what is wrong
APART = ("contract", "special")  # chapters about something other than values

Plain = dict[str, Any]  # what JSON can say; a record is one, of a shard, of what is remembered, or of a smallest case


# ------------------------------------------------------------------------------------------- what is asked


@dataclass(frozen=True)
class Plan:
    """What is judged, and how: shards of equal plans have equal records."""

    target: str
    options: Plain  # all that `refconv check` would be told, by name
    size: int  # seeds of a shard
    made_with: Plain
    known: str = field(compare=False)  # the database of what broke a law

    def __hash__(self) -> int:
        return hash(json.dumps([self.target, self.options, self.size], sort_keys=True))

    def loaded(self) -> tuple[Subject, list[Operation]]:
        """The subject, once in each process, and its operations. Raises TargetError."""
        return _loaded(self)

    def asked(self) -> list[tuple[str, str]]:
        """Every operation with every law that it has."""
        return [(op.name, law) for op in self.loaded()[1] for law in chapters.laws_of(op)]

    @property
    def examples(self) -> int:
        """Of a law with share 1."""
        return PROFILES[self.options["profile"]]

    @property
    def first(self) -> int:
        """The first seed."""
        return int(self.options["seed"])

    def differences(self, other: Plan) -> list[str]:
        """What the other one says otherwise, in words."""
        mine, theirs = asdict(self), asdict(other)
        said = [("target", mine, theirs), ("size", mine, theirs)]
        for part in ("options", "made_with"):
            said += [(n, mine[part], theirs[part]) for n in sorted(mine[part].keys() | theirs[part].keys())]
        return [f"{n} is {t.get(n)!r}, not {m.get(n)!r}" for n, m, t in said if m.get(n) != t.get(n)]


@cache
def _loaded(plan: Plan) -> tuple[Subject, list[Operation]]:
    ((subject, operations),) = subjects([plan.target], plan.options.__getitem__)
    return subject, operations


@dataclass(frozen=True)
class Shard:
    """One law of one operation, with the seeds from start to stop - 1."""

    operation: str
    law: str
    start: int
    stop: int

    @property
    def name(self) -> str:
        return f"{self.operation}/{self.law}-{self.start}-{self.stop}"


@dataclass(frozen=True)
class Smallest:
    """The violation of a shard with this seed, or without a seed what is remembered, to be brought down to size."""

    operation: str
    law: str
    start: int = 0
    seed: int | None = None

    @property
    def name(self) -> str:
        return f"{self.operation}-{self.law}-{'remembered' if self.seed is None else f'{self.start}-{self.seed}'}"


def name_of(record: Plain) -> str:
    """What a record is about, as a file may be called: no two that differ in what they found have the same."""
    if "shard" in record:
        return f"shards/{Shard(**record['shard']).name}"
    if "job" in record:
        return f"smallest/{Smallest(**record['job']).name}"
    known = record["remembered"]
    return f"remembered/{known['operation']}-{known['law']}-{known['digest']}"


def shards(plan: Plan, seeds: int | None) -> Iterator[Shard]:
    """Every law with the first seeds, then with the next; without a number they never end.

    A number that is no multiple of the size of a shard counts as the next one that is.
    """
    pairs = plan.asked()
    for start in count(plan.first, plan.size):
        if seeds is not None and start >= plan.first + seeds:
            return
        yield from (Shard(operation, law, start, start + plan.size) for operation, law in pairs)


def database(where: str) -> ExampleDatabase:
    """Where what broke a law is remembered: a folder, or redis://HOST:PORT/NUMBER. Raises TargetError."""
    if not where.startswith(("redis://", "rediss://", "unix://")):
        return DirectoryBasedExampleDatabase(where)
    try:
        from hypothesis.extra.redis import RedisExampleDatabase
        from redis import Redis, RedisError
    except ImportError:
        raise TargetError(f"--examples is {where!r}, which needs redis: pip install redis") from None
    try:
        server = Redis.from_url(where)
        server.ping()
    except (RedisError, ValueError) as error:
        raise TargetError(f"--examples is {where!r}, but cannot be reached: {error}") from None
    return RedisExampleDatabase(server)


@cache
def made_with(target: str) -> Plain:
    """What a record depends on beside the plan: refconv's sources, versions, the target's own file."""
    package = Path(__file__).parent
    sources = [*package.rglob("*.py"), *chapters.properties_folder().glob("test_*.py")]
    digest = hashlib.sha256()
    for path in sorted(sources, key=lambda path: (path.parent.name, path.name)):
        digest.update(path.read_bytes())
    own = Path(target.rpartition("=")[2].partition(":")[0])
    file = hashlib.sha256(own.read_bytes()).hexdigest()[:16] if own.suffix == ".py" and own.is_file() else ""
    return {"revision": digest.hexdigest()[:16], "file of the target": file, **environment()}


# ---------------------------------------------------------------------------------------- what a worker does


def work(plan: Plan, job: Shard | Smallest) -> list[Plain]:
    """The records of one job. Raises TargetError where they would be others than were meant."""
    if (mine := made_with(plan.target)) != plan.made_with:
        different = sorted(n for n in {*mine, *plan.made_with} if mine.get(n) != plan.made_with.get(n))
        said = ", ".join(f"{n} is {mine.get(n)!r}, not {plan.made_with.get(n)!r}" for n in different)
        raise TargetError(f"a worker differs from where the campaign was started: {said}")
    if isinstance(job, Smallest):
        return [_brought_down(plan, job)]
    return [*_remembered(plan, job), _judged(plan, job)]


def _remembered(plan: Plan, shard: Shard) -> Iterator[Plain]:
    """What broke the law before, here or elsewhere, and breaks it again: a record of its own, beside the shard's."""
    subject, _ = plan.loaded()
    law = chapters.laws()[shard.law]
    judged = Judged(subject, OPERATIONS[shard.operation], Effort(0, shrinks=False, known=database(plan.known)))
    if law.remembered(judged) and (record := law.run(judged)).status == "violated":
        yield {"remembered": {"operation": shard.operation, "law": shard.law, **_violation(record.violation)}}


def _judged(plan: Plan, shard: Shard) -> Plain:
    """The record: `found` is the same whoever judges the shard, what stands beside it need not be."""
    subject, _ = plan.loaded()
    op, law = OPERATIONS[shard.operation], chapters.laws()[shard.law]
    started = time.perf_counter()
    records, diagnosis = [], None
    for record in _runs(plan, shard):
        records.append(record)
        if record.status == "violated" and record.violation is not None:
            law.remember(Judged(subject, op, Effort(known=database(plan.known))), record)
            diagnosis = vars(diagnose(record.violation, Judged(subject, op)))
            break
        if record.status == "absent":
            break
    return {
        "shard": asdict(shard),
        "found": _found(records, shard.start),
        "diagnosis": diagnosis,
        "seconds": round(time.perf_counter() - started, 3),
    }


def _runs(plan: Plan, shard: Shard, last: int | None = None) -> Iterator[Record]:
    """The law with one seed after the other, from a subject that was never called; the violation of the last shrunk."""
    subject, _ = plan.loaded()
    law = chapters.laws()[shard.law]
    if subject.history:
        subject.renewed()
    for seed in range(shard.start, shard.stop):
        yield law.run(Judged(subject, OPERATIONS[shard.operation], Effort(plan.examples, seed, shrinks=seed == last)))


def _brought_down(plan: Plan, job: Smallest) -> Plain:
    """A violation as small as it gets, with what it is, and the files from which it can be seen again."""
    subject, _ = plan.loaded()
    op, law = OPERATIONS[job.operation], chapters.laws()[job.law]
    started = time.perf_counter()
    subject.listen()
    if job.seed is None:
        record = law.run(Judged(subject, op, Effort(0, known=database(plan.known))))
    else:
        *_, record = _runs(plan, Shard(job.operation, job.law, job.start, job.seed + 1), job.seed)
    if record.violation is None:
        return {"job": asdict(job), "law": None}
    record.violation.printed = subject.printed
    record.diagnosis = diagnose(record.violation, Judged(subject, op))
    return {
        "job": asdict(job),
        "law": {**law_as_json(record), "seconds": None},
        "evidence": evidence(record),
        "files": _files(record, subject) if record.violation.case is not None else {},
        "seconds": round(time.perf_counter() - started, 3),
    }


def _files(record: Record, subject: Subject) -> dict[str, str]:
    """What `reproduce` writes, in base 64: the folder is where the campaign is, not where its workers are."""
    with tempfile.TemporaryDirectory() as folder:
        made = reproduce.write(record, subject, Path(folder))
        return {path.name: base64.b64encode(path.read_bytes()).decode() for path in sorted(made.iterdir())}


# ----------------------------------------------------------------------------------------- as plain data


def _found(records: Sequence[Record], start: int) -> Plain:
    """What the runs of a shard found together."""
    last = records[-1]
    features, rows = _packed({row for r in records for row in r.rows})
    classes = sorted(
        {(dtype, rung.words if rung else "no known class") for r in records for dtype, rung in r.classes.items()}
    )
    return {
        "chapter": last.chapter,
        "statement": last.statement,
        "required": last.required,
        "status": min((r.status for r in records), key=WORST.index),
        "cases": sum(r.cases for r in records),
        "accepted": sum(r.accepted for r in records),
        "declined": sum(r.declined for r in records),
        "reasons": _sum(r.reasons for r in records),
        "dtypes": _sum(r.dtypes for r in records),
        "worst": max((r.worst for r in records if r.worst is not None), default=None),
        "errors": {str(tenths): n for tenths, n in sorted(_sum(r.errors for r in records).items())},
        "features": features,
        "rows": rows,
        "classes": [list(pair) for pair in classes],
        "sensitivity": {
            "meant": _sum(r.sensitivity.meant for r in records),
            "caught": _sum(r.sensitivity.caught for r in records),
        },
        "violation": None
        if last.status != "violated"
        else {"seed": start + len(records) - 1, **_violation(last.violation)},
    }


def _sum(counters: Iterable[Counter[Any]]) -> dict[Any, int]:
    total = sum(counters, Counter[Any]())
    return {key: total[key] for key in sorted(total)}


def _violation(violation: Violation | None) -> Plain:
    """What was found, before it is brought down."""
    assert violation is not None
    case = violation.case
    return {
        "reason": violation.reason,
        "call": repr(case),
        "elements": sum(a.size for a in case.operands.values()) if case else 0,
        "digest": _digest(violation.reason, case),
    }


def _digest(reason: str, case: Case | None) -> str:
    """The same for the same call on the same data."""
    digest = hashlib.sha256(f"{reason} {case!r}".encode())
    for array in case.operands.values() if case else ():
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


Row = tuple[tuple[str, str], ...]


def _packed(rows: set[Row]) -> tuple[list[list[str]], list[str]]:
    """Rows of features as text of two digits a feature, and what they stand for.

    >>> _packed({(("stride", "1"), ("groups", "2")), (("stride", "1"),)})
    ([['groups', '2'], ['stride', '1']], ['01', '0100'])
    """
    features = sorted({feature for row in rows for feature in row})
    place = {feature: f"{number:02x}" for number, feature in enumerate(features)}
    return [list(f) for f in features], sorted("".join(place[feature] for feature in row) for row in rows)


def _unpacked(features: Sequence[Sequence[str]], rows: Sequence[str]) -> set[Row]:
    """The rows again.

    >>> _unpacked(*_packed({(("stride", "1"), ("groups", "2"))}))
    {(('stride', '1'), ('groups', '2'))}
    """
    named = [(name, value) for name, value in features]
    return {tuple(named[int(row[i : i + 2], 16)] for i in range(0, len(row), 2)) for row in rows}


# ------------------------------------------------------------------------------------- what it all adds up to


@dataclass
class Finding:
    """What is wrong with an operation in one way, whichever laws that breaks.

    Violations have the way in common where they have the diagnosis. Those that no hypothesis explains are taken for one
    as well, in each chapter that is about something other than values.
    """

    operation: str
    kind: str
    words: str
    laws: Counter[str]  # in how many shards each is broken
    remembered: int  # calls that broke a law before, elsewhere
    smallest: Smallest
    detail: Plain | None = None  # the smallest brought down, once it is

    @property
    def law(self) -> str:
        """That of the smallest case."""
        return self.smallest.law

    @property
    def count(self) -> int:
        """Shards."""
        return self.laws.total()

    @property
    def what(self) -> str:
        return f"{self.kind}: {self.words}" if self.words else self.kind

    @property
    def key(self) -> tuple[str, ...]:
        chapter = chapters.laws()[self.law].chapter if self.kind in UNTOLD else ""
        return self.operation, self.kind, self.words, chapter if chapter in APART else ""


@dataclass
class Found:
    """What any number of records say together, in whatever order they came."""

    laws: dict[tuple[str, str], Record] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)  # the shards
    lost: dict[str, str] = field(default_factory=dict)  # those that end whoever judges them, and how
    broken: dict[str, Plain] = field(default_factory=dict)  # records of shards with a violation
    remembered: dict[str, Plain] = field(default_factory=dict)  # what is known from before to break a law
    details: dict[str, Plain] = field(default_factory=dict)  # by the name of what was brought down
    classes: dict[str, Counter[str]] = field(default_factory=dict)  # in how many shards, by dtype
    sensitivity: dict[str, Sensitivity] = field(default_factory=dict)  # by operation
    milliseconds: int = 0  # that judging took: whole ones, so that they add up in any order

    def add(self, record: Plain) -> None:
        """Take a record into account; one that is known changes nothing."""
        name = name_of(record)
        if "job" in record:
            self.details[name] = record
        elif "remembered" in record:
            self.remembered[name] = record["remembered"]
        elif name not in self.done:
            self.done.add(name)
            if record["found"] is None:
                self.lost[name] = record["ended"]
            else:
                self._add(Shard(**record["shard"]), record)

    def _add(self, shard: Shard, record: Plain) -> None:
        found, pair = record["found"], (shard.operation, shard.law)
        self.milliseconds += round(1000 * record["seconds"])
        if pair not in self.laws:
            about = found["chapter"], found["statement"], "", shard.operation, found["required"]
            self.laws[pair] = Record(shard.law, *about, status=WORST[-1])
        law = self.laws[pair]
        law.sensitivity = self.sensitivity.setdefault(shard.operation, law.sensitivity)
        law.status = min(law.status, found["status"], key=WORST.index)
        law.cases += found["cases"]
        law.accepted += found["accepted"]
        law.declined += found["declined"]
        law.reasons.update(found["reasons"])
        law.dtypes.update(found["dtypes"])
        law.errors.update({int(tenths): n for tenths, n in found["errors"].items()})
        law.worst = max((w for w in (law.worst, found["worst"]) if w is not None), default=None)
        law.rows |= _unpacked(found["features"], found["rows"])
        law.sensitivity.meant.update(found["sensitivity"]["meant"])
        law.sensitivity.caught.update(found["sensitivity"]["caught"])
        for dtype, words in found["classes"]:
            self.classes.setdefault(dtype, Counter())[words] += 1
        if found["violation"] is not None:
            self.broken[name_of(record)] = record

    @property
    def cases(self) -> int:
        return sum(law.cases for law in self.laws.values())

    def verdict(self, plan: Plan, complete: bool = True, xfails: Sequence[Xfail] = ()) -> Verdict:
        """As of a check, over all seeds."""
        subject, _ = plan.loaded()
        asked = plan.asked()
        records = [self._ordered(self.laws[pair], subject.name, xfails) for pair in asked if pair in self.laws]
        whole = complete and not self.lost and len(records) == len(asked)
        return Verdict(subject, records, self.milliseconds / 1000, plan.first, plan.options["profile"], whole, xfails)

    def _ordered(self, law: Record, subject: str, xfails: Sequence[Xfail]) -> Record:
        """With everything in an order that does not tell which record came first, and why it fails if known."""
        known = covering(xfails, law.operation, law.law)
        all_of = self.sensitivity[law.operation]
        meant, caught = ({f: counts[f] for f in FAULTS if f in counts} for counts in (all_of.meant, all_of.caught))
        return replace(
            law,
            subject=subject,
            expected=known.reason if known else "",
            reasons=Counter(dict(sorted(law.reasons.items()))),
            dtypes=Counter(dict(sorted(law.dtypes.items()))),
            sensitivity=Sensitivity(Counter(meant), Counter(caught)),
        )

    def waiting(self) -> list[Smallest]:
        """What is not brought down yet."""
        return [one.smallest for one in self._single() if one.detail is None]

    def findings(self) -> list[Finding]:
        """Those of the central law first, then by number of shards."""
        groups: dict[tuple[str, ...], Finding] = {}
        for one in self._single():
            said = one.detail["law"]["diagnosis"] if one.detail and one.detail["law"] else None
            if said is not None and one.kind in UNTOLD:
                one.kind, one.words = said["kind"], said["words"]
            if one.key in groups:
                groups[one.key].laws += one.laws
                groups[one.key].remembered += one.remembered
            else:
                groups[one.key] = one
        return sorted(groups.values(), key=lambda f: (f.law != CENTRAL, -f.count, f.operation, f.law, f.what))

    def _single(self) -> list[Finding]:
        """As workers named them, each with its smallest violation; then what only memory knows, law by law."""
        out: dict[tuple[str, ...], Finding] = {}
        for _, record in sorted(self.broken.items(), key=_by_size):
            shard, said = record["shard"], record["diagnosis"]
            job = Smallest(shard["operation"], shard["law"], shard["start"], record["found"]["violation"]["seed"])
            one = self._one(job, said["kind"], said["words"])
            out.setdefault(one.key, one).laws[job.law] += 1
        own = {record["found"]["violation"]["digest"] for record in self.broken.values()}
        for _, known in sorted(self.remembered.items()):
            if known["digest"] not in own:
                one = self._one(Smallest(known["operation"], known["law"]), "remembered", "")
                out.setdefault((*one.key, one.law), one).remembered += 1
        return list(out.values())

    def _one(self, job: Smallest, kind: str, words: str) -> Finding:
        return Finding(job.operation, kind, words, Counter(), 0, job, self.details.get(f"smallest/{job.name}"))


def _by_size(item: tuple[str, Plain]) -> tuple[bool, int, int, str]:
    """The central law first: it tells an element from what it must be."""
    name, record = item
    shard = record["shard"]
    return shard["law"] != CENTRAL, record["found"]["violation"]["elements"], shard["start"], name
