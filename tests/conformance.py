"""Judges released libraries operation by operation and dtype by dtype, and writes what was found as a page.

python -m tests.conformance FOLDER [--library NAME ...] [--operation NAME ...] [--dtype NAME ...] [--write]

Each result is a record in FOLDER, so that a run goes on where it was cut off, and each library can be judged in an
environment of its own. FOLDER/CONFORMANCE.md is written from all records there; `--write` puts it into the repository,
and the smallest case of each finding, with its script and for `refconv replay`, into docs/conformance.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from refconv import exact, files, judge
from refconv.adapters import ADAPTERS
from refconv.claims import Claims
from refconv.dtypes import FORMATS, numpy_dtype
from refconv.options import PROFILES
from refconv.spec import OPERATIONS, Case
from refconv.subject import TargetError, short
from refconv.verdict import EXIT_CODES

PAGE = Path(__file__).parent.parent / "CONFORMANCE.md"
VIEWS = Path(__file__).with_suffix(".toml")
CASES = PAGE.parent / "docs" / "conformance"
LIMIT = 3600  # seconds for one record
VALUES = 64  # operand elements that are printed; all are in the case's folder
KINDS = ("fault", "weaker class", "documented difference")
PREFACE = """# Conformance

What refconv's laws say of released libraries, each against the claims that its adapter states and no others.
`python -m tests.conformance FOLDER --write` judges those that are installed and writes this page.

verdict: the worst of the dtypes, with the claims that differ from the default. precision: the strictest class that
explains every result. declined: share of the calls that the library, or its translation, refuses. violations: how many
laws are broken, with the findings they belong to.

A finding is called a **fault** only where three references that share no code agree on another value and the library's
documentation promises it. A **weaker class** computes correctly at lower precision, or spreads NaN wider, than is
claimed by default; a **documented difference** is one that the library states. What nobody has examined yet is *open*.
"""


# ------------------------------------------------------------------------------------------------ records


@dataclass(frozen=True)
class Cell:
    """One operation of one library in one dtype."""

    library: str
    operation: str
    dtype: str

    def path(self, folder: Path) -> Path:
        return folder / self.library / f"{self.operation}-{self.dtype}.json"


def cells(libraries: Sequence[str], operations: Sequence[str], dtypes: Sequence[str] = ()) -> Iterator[Cell]:
    """All that the adapters say they can. Raises TargetError where one cannot be had here."""
    for library in libraries:
        subject = ADAPTERS[library]()
        for op in subject.operations:
            if not operations or op.name in operations:
                yield from (Cell(library, op.name, d) for d in subject.scope.dtypes if not dtypes or d in dtypes)


def judged(cell: Cell, folder: Path, profile: str) -> dict[str, Any]:
    """The record of a cell, by `refconv check` in a process of its own."""
    out, kept = cell.path(folder).with_suffix(".verdict"), folder / "failures" / cell.library / cell.dtype
    out.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "refconv.cli", "check", cell.library, "--operation", cell.operation]
    command += ["--dtype", cell.dtype, "--profile", profile, "--timeout", "60", f"--json={out}", f"--failures={kept}"]
    about = {**vars(cell), "version": ADAPTERS[cell.library].version, "profile": profile}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT)
    except subprocess.TimeoutExpired:
        return {**about, "verdict": None, "said": f"took longer than {LIMIT} seconds"}
    if done.returncode not in EXIT_CODES.values() or not out.is_file():
        return {**about, "verdict": None, "said": short(done.stderr[-500:])}
    (found,) = json.loads(out.read_text())["verdicts"]
    out.unlink()
    return {**about, "verdict": found}


def known(cell: Cell, folder: Path, profile: str) -> bool:
    """Whether there is a record of this version of the library with as many cases."""
    try:
        record = json.loads(cell.path(folder).read_text())
    except (OSError, ValueError):
        return False
    same = record["version"] == ADAPTERS[cell.library].version
    return same and PROFILES[record["profile"]] >= PROFILES[profile]


def records(folder: Path) -> list[dict[str, Any]]:
    """All there are, in the order of libraries, operations and dtypes."""
    found = [json.loads(p.read_text()) for p in folder.glob("*/*.json")]
    names, operations = list(ADAPTERS), list(OPERATIONS)
    return sorted(found, key=lambda r: (names.index(r["library"]), operations.index(r["operation"]), r["dtype"]))


# ----------------------------------------------------------------------------------------------- findings


@dataclass
class Finding:
    """What one library does the same way in several operations or dtypes."""

    library: str
    what: str  # the kind of operation and the diagnosis, or the law about NaN
    places: list[tuple[dict[str, Any], dict[str, Any]]]  # records, each with the law that is broken

    @cached_property
    def smallest(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return min(self.places, key=lambda place: _elements(place[1]["violation"]["case"]))

    @property
    def case(self) -> Case | None:
        said = self.smallest[1]["violation"]["case"]
        return None if said is None else _case(said)

    @property
    def folder(self) -> str:
        """Of the smallest case, as `refconv check` names it, in a folder for each library and dtype."""
        record, law = self.smallest
        return f"{self.library}/{record['dtype']}/" + f"{self.library}-{record['operation']}-{law['law']}"[:120]

    @cached_property
    def agreeing(self) -> list[str]:
        """References that share no code and give the exact value where the library does not, or else a whole right
        result of a call of which the library gives none."""
        violation, case = self.smallest[1]["violation"], self.case
        if case is None or not all(np.isfinite(a.astype(float)).all() for a in case.operands.values()):
            return []
        wide = Case(
            case.operation, {n: a.astype(np.float64) for n, a in case.operands.items()}, case.arguments, "float64"
        )
        others = {name: reference for name, reference in REFERENCES.items() if not self.library.startswith(name)}
        given = {name: results for name, reference in others.items() if (results := reference(wide)) is not None}
        if violation["allowed"] is None or not isinstance(violation["exact"], float):  # no element of this call
            return [name for name, results in given.items() if _right(results, wide)]
        at, room = tuple(violation["index"]), float(violation["allowed"])
        result = violation["result"] or case.operation.results[0]
        return [name for name, r in given.items() if abs(float(r[result][at]) - violation["exact"]) <= room]

    def view(self, views: Iterable[dict[str, Any]]) -> dict[str, Any]:
        """What somebody who examined it says; a fault is called one only with documentation and three references."""
        for said in views:
            if said["library"] == self.library and re.search(said["finding"], self.what):
                proven = said.get("documentation") and len(self.agreeing) + len(said.get("references", ())) >= 3
                return {**said, "kind": said["kind"] if said["kind"] != "fault" or proven else "open"}
        return {"kind": "open"}


def _right(results: Any, case: Case) -> bool:
    """Whether it is a result that direct summation can give."""
    try:
        judge.form(results, case)
        judge.within(results, case, Claims())
    except judge.Violation:
        return False
    return True


def _rational(case: Case) -> Any:
    found = exact.rational(case)
    return {name: np.vectorize(float, otypes=[np.float64])(values) for name, values in found.items()}


def _adapter(name: str) -> Any:
    """An adapter's results in float64; None where it has no such operation or declines."""

    def reference(case: Case) -> Any:
        try:
            return ADAPTERS[name]().attempt(case)
        except (TargetError, NotImplementedError, KeyError, RuntimeError, ValueError, TypeError):
            return None

    return reference


REFERENCES = {
    "rational arithmetic": _rational,
    "refconv-direct": _adapter("refconv-direct"),
    "refconv-taps": _adapter("refconv-taps"),
    "refconv-windows": _adapter("refconv-windows"),
    "torch": _adapter("torch"),
    "jax": _adapter("jax"),
}


def findings(every: Sequence[dict[str, Any]]) -> list[Finding]:
    """Violations with equal diagnoses are one finding; what breaks laws about NaN only is another than the rest."""
    out: dict[tuple[str, str], Finding] = {}
    for record in every:
        for what, law in _distinct(record):
            found = out.setdefault((record["library"], what), Finding(record["library"], what, []))
            found.places.append((record, law))
    return list(out.values())


def _distinct(record: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    broken = _broken(record)
    for nan in (False, True):
        group = [law for law in broken if ("nan" in law["law"].split("_")) == nan]
        if group:
            first = min(group, key=lambda law: (law["diagnosis"] is None, _elements(law["violation"]["case"])))
            yield f"{OPERATIONS[record['operation']].kind}: {_named(first)}", first


def _named(law: dict[str, Any]) -> str:
    """The diagnosis without what differs from case to case, or the law where no hypothesis explains it."""
    kind = (law["diagnosis"] or {}).get("kind", "unknown")
    plain = re.sub(r"[-+]?\b\d[\d.e+-]*|\[.*?\]|\(.*?\)", "_", law["violation"]["reason"])
    return f"{law['law'].replace('_', ' ')}: {plain}" if kind == "unknown" or "nan" in law["law"] else kind


def _broken(record: dict[str, Any]) -> list[dict[str, Any]]:
    laws = (record["verdict"] or {}).get("laws", ())
    return [law for law in laws if law["status"] == "violated" and law["required"]]


def _elements(case: dict[str, Any] | None) -> int:
    return sum(len(o["values"]) for o in case["operands"].values()) if case else 1 << 30


def _case(said: dict[str, Any]) -> Case:
    dtype = numpy_dtype(said["dtype"])
    operands = {
        n: np.array([float(v) for v in o["values"]]).reshape(o["shape"]).astype(dtype)
        for n, o in said["operands"].items()
    }
    arguments = {n: _tuples(v) for n, v in said["arguments"].items()}
    return Case(OPERATIONS[said["operation"]], operands, arguments, said["dtype"], said["family"], said["layout"])


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


# ---------------------------------------------------------------------------------------------- the page


def page(every: Sequence[dict[str, Any]], views: Sequence[dict[str, Any]], about: str = "") -> str:
    """CONFORMANCE.md; `about` says what the records do not: which part of the whole they are."""
    found = findings(every)
    number = {id(place[0]): [] for f in found for place in f.places}
    for n, f in enumerate(found, 1):
        for record, _ in f.places:
            number[id(record)].append(n)
    lines = [
        PREFACE,
        *([about] if about else []),
        "| library | version | operation | profile | verdict | precision | declined | violations |",
        "|---|---|---|---|---|---|---|---|",
    ]
    rows: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in every:
        rows.setdefault((record["library"], record["operation"]), []).append(record)
    lines += [_row(group, number) for group in rows.values()]
    lines += ["", "## Findings", "", "| finding | library | kind | what |", "|---|---|---|---|"]
    for n, f in enumerate(found, 1):
        lines.append(f"| [{n}](#finding-{n}) | {f.library} | {f.view(views)['kind']} | {_cell(f.what)} |")
    for n, f in enumerate(found, 1):
        lines += ["", *_section(n, f, f.view(views))]
    return "\n".join(lines) + "\n"


def _row(group: list[dict[str, Any]], number: dict[int, list[int]]) -> str:
    first, done = group[0], [r["verdict"] for r in group if r["verdict"]]
    words = [r["verdict"]["verdict"] if r["verdict"] else "broke down" for r in group]
    order = [*EXIT_CODES, "broke down"]
    laws = [law for v in done for law in v["laws"]]
    cases, declined = sum(law["cases"] for law in laws), sum(law["declined"] for law in laws)
    classes = [f"{p['dtype']} as {p['class'] or 'no known class'}" for v in done for p in v["precision"]]
    links = ", ".join(f"[{n}](#finding-{n})" for n in sorted({n for r in group for n in number.get(id(r), ())}))
    count = sum(len(_broken(r)) for r in group)
    cells_ = [
        *(first[name] for name in ("library", "version", "operation", "profile")),
        min(words, key=order.index) + _claimed(done),
        "; ".join(classes) or "-",
        f"{100 * declined / cases:.0f} %" if cases else "-",
        f"{count} ({links})" if count else "0",
    ]
    return "| " + " | ".join(cells_) + " |"


def _claimed(done: list[dict[str, Any]]) -> str:
    """Claims that are not the default ones, in brackets."""
    said = {f"{n}={v}" for verdict in done for n, v in verdict["claims"].items() if v != getattr(Claims(), n)}
    return f" ({', '.join(sorted(said))})" if said else ""


def _section(n: int, f: Finding, view: dict[str, Any]) -> list[str]:
    record, law = f.smallest
    violation = law["violation"]
    places = ", ".join(sorted({f"{r['operation']} ({r['dtype']})" for r, _ in f.places}))
    also = sorted({w["law"].replace("_", " ") for r, _ in f.places for w in _broken(r)})
    out = [
        f'<a id="finding-{n}"></a>',
        f"### {n} {f.library} {record['version']}: {_cell(f.what)}",
        "",
        f"Kind: **{view['kind']}**. {view.get('says', '')}".rstrip(),
        "",
        f"Where: {places}. Law: {law['statement']}",
        "",
        f"Diagnosis: {_cell(str((law['diagnosis'] or {}).get('kind', 'none')))}; {_cell(violation['reason'])}.",
        "",
        f"    got      {violation['got']}",
        f"    exact    {violation['exact']}",
        f"    allowed  {violation['allowed']}",
        f"    at       {violation['result']}{violation['index']}",
    ]
    out += ["", f"References that give the exact value: {', '.join(f.agreeing) or 'none'}."]
    out += [f"Asked by hand, of this kind of call: {', '.join(view['references'])}."] if "references" in view else []
    out += [f"Documentation: {view['documentation']}"] if "documentation" in view else []
    out += [f"Upstream: {view['upstream']}"] if "upstream" in view else []
    if f.case is not None:
        out += ["", f"Case: `{f.case}`", ""]
        few = _elements(violation["case"]) <= VALUES
        out += [f"    {n} = {_numbers(a)}" for n, a in f.case.operands.items()] * few + [""] * few
        out += [f"Again: `refconv replay docs/conformance/{f.folder}`, or `reproduce.py` of that folder."]
    return [*out, "", f"Laws broken there: {'; '.join(also)}."]


def keep(found: Iterable[Finding], folder: Path) -> None:
    """The case of each finding in CASES, in place of those that were there."""
    shutil.rmtree(CASES, ignore_errors=True)
    for f in found:
        if f.case is not None:
            shutil.copytree(folder / "failures" / f.folder, CASES / f.folder)


def _numbers(a: Any) -> str:
    return repr(a.astype(np.float64).tolist()) if a.size else f"none, of shape {a.shape}"


def _cell(text: str) -> str:
    return short(text).replace("|", "\\|")


# --------------------------------------------------------------------------------------------------- main


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="where records are kept, and the page is written")
    parser.add_argument("--library", action="append", metavar="NAME", help="judge this one only (repeatable)")
    parser.add_argument("--operation", action="append", default=[], choices=list(OPERATIONS), metavar="NAME")
    parser.add_argument("--dtype", action="append", default=[], choices=list(FORMATS), metavar="NAME")
    parser.add_argument("--profile", choices=list(PROFILES), default="standard")
    parser.add_argument("--write", action="store_true", help=f"put {PAGE.name} and the cases into the repository")
    options = parser.parse_args()
    libraries = [n for n, a in ADAPTERS.items() if a.needs and a.installed and "cudnn" not in n]
    for name in options.library or ():
        if name not in ADAPTERS:
            parser.error(f"--library is {name!r}, but must be one of {', '.join(ADAPTERS)}")
    options.folder.mkdir(parents=True, exist_ok=True)
    libraries = libraries if options.library is None else options.library
    try:
        todo = list(cells(libraries, options.operation, options.dtype))
    except TargetError as error:
        print(error, file=sys.stderr)
        return 4
    todo = [cell for cell in todo if not known(cell, options.folder, options.profile)]
    for done, cell in enumerate(todo, 1):
        started = time.perf_counter()
        record = judged(cell, options.folder, options.profile)
        files.write(cell.path(options.folder), json.dumps(record, indent=1) + "\n")
        word = record["verdict"]["verdict"] if record["verdict"] else record["said"]
        seconds = time.perf_counter() - started
        print(f"{done:4}/{len(todo)} {cell.library:20} {cell.operation:22} {cell.dtype:8} {seconds:6.1f} s  {word}")
        sys.stdout.flush()
    said, every = tomllib.loads(VIEWS.read_text()), records(options.folder)
    text = page(every, said["view"], said["about"])
    files.write(options.folder / PAGE.name, text)
    if options.write:
        files.write(PAGE, text)
        keep(findings(every), options.folder)
    print(f"written to {options.folder / PAGE.name}" + f" and {PAGE}" * options.write)
    return 0


if __name__ == "__main__":
    sys.exit(main())
