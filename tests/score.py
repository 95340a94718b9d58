"""Scores the judge on the corpus of mutants: who is convicted, by which law, after how long; who is accused falsely.

python -m tests.score [--profile quick] [--diagnose] [NAME ...]
"""

from __future__ import annotations

import argparse
import importlib.util
import re
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from refconv.adapters import ADAPTERS
from refconv.diagnose import diagnose
from refconv.law import Effort, Judged, Record
from refconv.options import PROFILES
from refconv.spec import KIND_GROUPS
from refconv.subject import Subject, load

CORPUS = Path(__file__).parent / "mutants"
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
    law: str = ""
    elements: int = 0  # of the failing case's input
    seconds: float = 0.0
    unverified: list[str] = field(default_factory=list)
    said: str = ""
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


def subject(path: Path) -> Subject:
    """The mutant, in the dtype its fault shows in."""
    said = re.search(r"Trigger: dtype (float16|bfloat16|complex128)", path.read_text())
    one = load(str(path), ADAPTERS)
    return replace(one, scope=replace(one.scope, dtypes=(said.group(1),))) if said else one


def records(one: Subject, effort: Effort) -> Iterator[Record]:
    """Each law on each operation, until somebody has seen enough."""
    for operation in one.operations:
        for rule in laws():
            if operation.kind in KIND_GROUPS.get(rule.kind, {rule.kind}):
                yield rule.run(Judged(one, operation, effort))


def judged(path: Path, effort: Effort, explain: bool = False) -> Outcome:
    """The outcome for one mutant; stops at the first violation."""
    warnings.simplefilter("ignore")
    started = time.perf_counter()
    outcome = Outcome(path.stem, path.parent.name)
    for record in records(subject(path), effort):
        if record.status == "unverified":
            outcome.unverified.append(f"{record.law}: {record.operation}")
        if record.status == "violated":
            case = record.violation.case if record.violation else None
            outcome.law, outcome.said = record.law, str(record.violation)
            outcome.elements = next(iter(case.operands.values())).size if case else 0
            if case and "input" in case.operands:
                outcome.elements = case.operands["input"].size
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


# A process that a mutant ends itself takes the judge with it until subjects run in processes of their own.
DEADLY = {"exits_on_empty_batch"}


def corpus(kind: str, names: list[str] | None = None) -> list[Path]:
    return [p for p in sorted((CORPUS / kind).glob("*.py")) if p.stem not in DEADLY and (not names or p.stem in names)]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.score", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="mutants to judge (default: all)")
    parser.add_argument("--profile", choices=list(PROFILES), default="quick")
    parser.add_argument("--shrink", action="store_true", help="bring each failing case down to size")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--diagnose", action="store_true", help="hold what is said to be wrong against the headers")
    options = parser.parse_args()
    effort = Effort(PROFILES[options.profile], shrinks=options.shrink)
    paths = [p for kind in ("wrong", "right") for p in corpus(kind, options.names)]
    by_law: Counter[str] = Counter()
    missed, accused, sizes = [], [], {}
    diagnoses: dict[str, list[str]] = {}
    with ProcessPoolExecutor(options.jobs) as pool:
        for done, outcome in enumerate(
            pool.map(judged, paths, *([v] * len(paths) for v in (effort, options.diagnose))), 1
        ):
            print(f"{done:4}/{len(paths)} {outcome.kind:5} {outcome.name:42} {outcome.seconds:6.1f} s  {outcome.law}")
            if outcome.diagnosis:
                print(f"          {outcome.diagnosis:8} {outcome.what}")
                diagnoses.setdefault(outcome.diagnosis, []).append(outcome.name)
            sys.stdout.flush()
            by_law[outcome.law] += outcome.kind == "wrong"
            if outcome.kind == "wrong":
                missed += [outcome.name] * (not outcome.law)
                if outcome.law:
                    sizes[outcome.name] = outcome.elements
            elif outcome.law:
                accused.append(f"{outcome.name}: {outcome.law}\n{outcome.said}")
    print("\nconvicted by law:")
    for law, count in by_law.most_common():
        print(f"  {count:4} {law or '(nobody)'}")
    large = {name: size for name, size in sizes.items() if size > 64}
    print(f"\nwrong: {len(sizes)} of {len(sizes) + len(missed)} convicted; missed: {', '.join(missed) or 'none'}")
    if options.diagnose:
        counts = ", ".join(f"{len(diagnoses.get(state, []))} {state}" for state in ("right", "wrong", "unknown"))
        print(f"diagnoses: {counts}; wrong: {', '.join(diagnoses.get('wrong', [])) or 'none'}")
    if options.shrink:
        listed = ", ".join(f"{name} ({size})" for name, size in large.items()) or "none"
        print(f"failing case of at most 64 input elements: {len(sizes) - len(large)} of {len(sizes)}; larger: {listed}")
    print(f"right: {len(accused)} accused" + "".join(f"\n{text}" for text in accused))
    return 1 if missed or accused else 0


if __name__ == "__main__":
    sys.exit(main())
