"""Scores the judge on the corpus of mutants: who is convicted, by which law, after how long; who is accused falsely.

python -m tests.score [--profile quick] [--shrink] [--diagnose] [NAME ...]   one run, printed
python -m tests.score --write                                               quick and standard, into SCORE.md
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
import tempfile
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from statistics import median
from typing import Any

from refconv.adapters import ADAPTERS
from refconv.diagnosis.search import diagnose
from refconv.isolation import Limits, isolated
from refconv.law import Effort, Judged, Record
from refconv.options import PROFILES
from refconv.reproduce import replay, write
from refconv.spec import KIND_GROUPS
from refconv.subject import Subject, load

CORPUS = Path(__file__).parent / "mutants"
PAGE = Path(__file__).parent.parent / "SCORE.md"
SMALL = 64  # input elements of a case that one can take in
PREFACE = """# Score

What refconv's laws say of the corpus in `tests/mutants`. `python -m tests.score --write` measures it and writes this
page; continuous integration judges every mutant anew and fails where one is not convicted.

quick, standard: convicted in that profile, seed 0. cases: how many are expected until conviction in quick, all that
were judged in five seeds divided by the convictions among them (median of a row's mutants). seconds: until conviction
in quick, on one core, likewise. small: shrunk to at most 64 elements of input. right, wrong, unknown: what the
diagnosis of the shrunk case says, held against the header of the mutant, which names the kinds that would be right.
"""
SEEDS = 5
LAWS = Path(__file__).parent.parent / "properties"
# Those that convict most and cost least first.
CHAPTERS = (
    "test_oracle",
    "test_contract",
    "test_special",
    "test_pooling",
    "test_gradients",
    "test_algebra",
    "test_geometry",
    "test_agreement",
)


@dataclass
class Outcome:
    """What the laws found on one mutant."""

    name: str
    kind: str
    label: str = ""  # its class
    rarity: str = ""  # of what triggers it
    law: str = ""  # the one that convicts
    cases: int = 0  # judged until then
    elements: int = 0  # of the failing case's input
    seconds: float = 0.0
    unverified: list[str] = field(default_factory=list)
    said: str = ""
    replayed: str = ""  # broken again, where it was asked for
    diagnosis: str = ""  # right, wrong or unknown, where one was asked for
    what: str = ""


@cache
def laws() -> list[Any]:
    """Every law, in the order of CHAPTERS."""
    found = []
    for path in sorted(LAWS.glob("test_*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None and spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found += [f for f in vars(module).values() if hasattr(f, "run") and hasattr(f, "kind")]
    return sorted(found, key=lambda f: CHAPTERS.index(f.__module__))


def subject(path: Path, apart: bool = False) -> Subject:
    """The mutant, in the dtype its fault shows in; `apart` in a process of its own."""
    said = re.search(r"Trigger: dtype (float16|bfloat16|complex128)", path.read_text())
    one = isolated([str(path)], Limits())[0] if apart else load(str(path), ADAPTERS)
    return replace(one, scope=replace(one.scope, dtypes=(said.group(1),))) if said else one


def records(one: Subject, effort: Effort) -> Iterator[Record]:
    """Each law on each operation, until somebody has seen enough."""
    for operation in one.operations:
        for rule in laws():
            if operation.kind in KIND_GROUPS.get(rule.kind, {rule.kind}):
                yield rule.run(Judged(one, operation, effort))


def judged(path: Path, effort: Effort, explain: bool = False, again: bool = False) -> Outcome:
    """The outcome for one mutant; stops at the first violation."""
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    header = re.search(r"^Class: (\w+)\..*Rarity: (\w+)\.$", path.read_text(), re.M)
    outcome = Outcome(path.stem, path.parent.name, *(header.groups() if header else ()))
    one = subject(path, apart=again)
    for record in records(one, effort):
        outcome.cases += record.cases
        if record.status == "unverified":
            outcome.unverified.append(f"{record.law}: {record.operation}")
        if record.status == "violated":
            case = record.violation.case if record.violation else None
            outcome.law, outcome.said = record.law, str(record.violation)
            outcome.elements = next(iter(case.operands.values())).size if case else 0
            if case and "input" in case.operands:
                outcome.elements = case.operands["input"].size
            if again and case:
                with tempfile.TemporaryDirectory() as folder:
                    found, outcome.replayed = replay(write(record, one, Path(folder)), LAWS)
                    outcome.replayed = "again" if found else outcome.replayed
            if explain:
                outcome.diagnosis, outcome.what = explained(path, record)
            break
    outcome.seconds = time.perf_counter() - started
    return outcome


def explained(path: Path, record: Record) -> tuple[str, str]:
    """Whether the diagnosis is one that the mutant's header names, and the diagnosis itself."""
    one = subject(path)
    operation = next(op for op in one.operations if op.name == record.operation)
    assert record.violation is not None
    found = diagnose(record.violation, Judged(one, operation))
    said = re.search(r"^Diagnosis: (.+)\.$", path.read_text(), re.M)
    # kinds hold an "or" themselves: "border or halo"
    right = said is not None and re.search(rf"(^| or ){re.escape(found.kind)}($| or )", said.group(1))
    return "right" if right else "unknown" if found.kind == "unknown" else "wrong", str(found)


def corpus(kind: str, names: list[str] | None = None) -> list[Path]:
    return [p for p in sorted((CORPUS / kind).glob("*.py")) if not names or p.stem in names]


def outcomes(paths: list[Path], effort: Effort, explain: bool, jobs: int, again: bool = False) -> Iterator[Outcome]:
    """Every mutant, in processes of their own; a line of progress for each."""
    with ProcessPoolExecutor(jobs) as pool:
        judging = pool.map(judged, paths, *([v] * len(paths) for v in (effort, explain, again)))
        for done, outcome in enumerate(judging, 1):
            print(f"{done:4}/{len(paths)} {outcome.kind:5} {outcome.name:42} {outcome.seconds:6.1f} s  {outcome.law}")
            if outcome.diagnosis:
                print(f"          {outcome.diagnosis:8} {outcome.what}")
            sys.stdout.flush()
            yield outcome


# ---------------------------------------------------------------------------------------------------- reporting


def summary(every: list[Outcome], shrunk: bool) -> str:
    """What one run found, in words."""
    wrong = [o for o in every if o.kind == "wrong"]
    convicted, accused = [o for o in wrong if o.law], [o for o in every if o.kind == "right" and o.law]
    lines = ["convicted by law:"]
    lines += [f"  {n:4} {law or '(nobody)'}" for law, n in Counter(o.law for o in wrong).most_common()]
    missed = ", ".join(o.name for o in wrong if not o.law) or "none"
    lines.append(f"wrong: {len(convicted)} of {len(wrong)} convicted; missed: {missed}")
    if any(o.diagnosis for o in wrong):
        said = Counter(o.diagnosis for o in convicted)
        names = ", ".join(o.name for o in convicted if o.diagnosis == "wrong") or "none"
        counts = ", ".join(f"{said[word]} {word}" for word in ("right", "wrong", "unknown"))
        lines.append(f"diagnoses: {counts}; wrong: {names}")
    if shrunk:
        large = [o for o in convicted if o.elements > SMALL]
        listed = ", ".join(f"{o.name} ({o.elements})" for o in large) or "none"
        small = len(convicted) - len(large)
        lines.append(f"failing case of at most {SMALL} input elements: {small} of {len(convicted)}; larger: {listed}")
    if any(o.replayed for o in convicted):
        others = ", ".join(f"{o.name} ({o.replayed})" for o in convicted if o.replayed != "again") or "none"
        lines.append(f"replayed: {sum(o.replayed == 'again' for o in convicted)} of {len(convicted)}; others: {others}")
    lines.append(f"right: {len(accused)} accused")
    lines += [f"{o.name}: {o.law}\n{o.said}" for o in accused]
    return "\n".join(lines)


def _reach(name: str, quick: list[list[Outcome]]) -> tuple[float, int]:
    """Cases until a mutant is convicted, expected from several seeds, and how many of these convict it."""
    runs = [o for run in quick for o in run if o.name == name]
    convictions = sum(bool(o.law) for o in runs)
    return sum(o.cases for o in runs) / convictions if convictions else float("inf"), convictions


def _row(name: str, quick: list[list[Outcome]], full: list[Outcome]) -> str:
    names = {o.name for o in full}
    found = [o for o in quick[0] if o.law and o.name in names]
    said = Counter(o.diagnosis for o in full)
    expected = median(_reach(o.name, quick)[0] for o in full)
    cells = [
        len(full),
        len(found),
        sum(bool(o.law) for o in full),
        f"{expected:.0f}",
        f"{median(o.seconds for o in found):.1f}" if found else "-",
        sum(bool(o.law) and o.elements <= SMALL for o in full),
        *(said[word] for word in ("right", "wrong", "unknown")),
    ]
    return f"| {name} | " + " | ".join(map(str, cells)) + " |"


def matrix(quick: list[list[Outcome]], full: list[Outcome]) -> str:
    """SCORE.md, from one run in quick for each seed: tables by class, by rarity, by law, and a row for each mutant."""
    wrong = [o for o in full if o.kind == "wrong"]
    head = "| {} | mutants | quick | standard | cases | seconds | small | right | wrong | unknown |\n|---|" + "---|" * 9
    out = [PREFACE, "## By class", ""]
    for title, fact in (("class", "label"), ("rarity", "rarity")):
        if title == "rarity":
            out += ["", "## By rarity of the trigger", ""]
        out.append(head.format(title))
        for value in sorted({getattr(o, fact) for o in wrong}):
            out.append(_row(value, quick, [o for o in wrong if getattr(o, fact) == value]))
    out.append(_row("all", quick, wrong))
    shares = [sum(bool(o.law) for o in run if o.kind == "wrong") for run in quick]
    again = sum(o.replayed == "again" for o in wrong)
    out += ["", f"Convicted in quick, by seed: {', '.join(map(str, shares))} of {len(wrong)}."]
    out += [f"Broken again by `refconv replay` of the folder that was kept, in a new process: {again} of {len(wrong)}."]
    out += ["", "## By law", "", "| law | quick | standard |", "|---|---|---|"]
    laws_of = [Counter(o.law for o in run if o.law and o.kind == "wrong") for run in (quick[0], full)]
    out += [f"| {law} | {laws_of[0][law]} | {n} |" for law, n in laws_of[1].most_common()]
    out += ["", "## Right ones accused", ""]
    for name, run in (("quick", quick[0]), ("standard", full)):
        judged = [o for o in run if o.kind == "right"]
        names = ", ".join(f"`{o.name}`" for o in judged if o.law) or "none"
        out.append(f"- {name}, {len(judged)} judged: {names}")
    out += [
        "",
        "## Each mutant",
        "",
        "| mutant | class | rarity | seeds | cases | law | elements | diagnosis |",
        "|" + "---|" * 8,
    ]
    for o in wrong:
        cases, seeds = _reach(o.name, quick)
        cells = o.label, o.rarity, f"{seeds}/{len(quick)}", f"{cases:.0f}", o.law, o.elements, o.diagnosis
        out.append(f"| `{o.name}` | {' | '.join(map(str, cells))} |")
    return "\n".join(out) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.score", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="mutants to judge (default: all)")
    parser.add_argument("--only", choices=("wrong", "right"), help="one half of the corpus")
    parser.add_argument("--profile", choices=list(PROFILES), default="quick")
    parser.add_argument("--shrink", action="store_true", help="bring each failing case down to size")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--diagnose", action="store_true", help="hold what is said to be wrong against the headers")
    parser.add_argument(
        "--replay",
        action="store_true",
        help="shrink and keep each violation, and see whether it comes again",
    )
    parser.add_argument("--write", action="store_true", help=f"judge all in quick and standard, into {PAGE.name}")
    options = parser.parse_args()
    halves = (options.only,) if options.only else ("wrong", "right")
    paths = [p for kind in halves for p in corpus(kind, options.names)]
    if options.write:
        paths = corpus("wrong") + corpus("right")
        efforts = [Effort(PROFILES["quick"], seed, shrinks=False) for seed in range(SEEDS)]
        judged = [paths, *[corpus("wrong")] * (SEEDS - 1)]
        quick = [list(outcomes(p, e, False, options.jobs)) for p, e in zip(judged, efforts, strict=True)]
        wrong, right = corpus("wrong"), corpus("right")
        every = list(outcomes(wrong, Effort(PROFILES["standard"]), True, options.jobs, again=True))
        every += outcomes(right, Effort(PROFILES["standard"]), False, options.jobs)
        PAGE.write_text(matrix(quick, every))
    else:
        effort = Effort(PROFILES[options.profile], shrinks=options.shrink or options.replay)
        every = list(outcomes(paths, effort, options.diagnose, options.jobs, options.replay))
    print("\n" + summary(every, options.shrink or options.write))
    return 1 if any(bool(o.law) != (o.kind == "wrong") for o in every) else 0


if __name__ == "__main__":
    sys.exit(main())
