"""The verdicts as one page that needs nothing but itself: no script, no request, no style that its hash does not name.

Every word that reaches the page is escaped, cut to a length and has its unprintable characters named.
"""

from __future__ import annotations

import base64
import hashlib
import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from markupsafe import Markup, escape

from refconv import judge
from refconv.cover import triples_of
from refconv.dtypes import Array
from refconv.law import Record
from refconv.report import picture
from refconv.report.reads import reads
from refconv.reproduce import SCRIPT
from refconv.sensitivity import FAULTS, FLOOR
from refconv.strategies import plan
from refconv.verdict import CENTRAL, KNOWN, OBSERVATION, Verdict, environment

__all__ = ["page"]

LOOKS = {"correct": ("good", "✓"), KNOWN: ("good", "✓"), "wrong": ("bad", "✗"), "not verified": ("unsure", "?")}
LONGEST = 8000  # characters of one text
LINES = 40  # of what the subject printed
DRAWN = 3  # violations of a subject that are drawn
VALUES = 200  # elements of an array written out
REASONS = 5  # why calls were declined, for each operation
TENTHS = 10


def page(verdicts: Sequence[Verdict]) -> str:
    """One page for all subjects, from the records alone."""
    style = (files("refconv.report") / "page.css").read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return _template().render(
        style=Markup(style),  # ours, as it stands in the package
        policy=f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'",
        subjects=[_subject(v) for v in verdicts],
        environment=environment(),
        tones=picture.TONES,
    )


@cache
def _template() -> jinja2.Template:
    source = jinja2.Environment(
        loader=jinja2.PackageLoader("refconv.report", ""),
        autoescape=True,
        finalize=_visible,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    source.filters["quoted"] = _quoted
    return source.get_template("page.html")


def _visible(value: Any) -> Any:
    """Text as text: what cannot be seen, or turns the words around it, is named."""
    if isinstance(value, Markup):
        return value
    text = str(value)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} ... ({len(text) - LONGEST} more characters)"
    return "".join(c if c.isprintable() or c == "\n" else f"⟨U+{ord(c):04X}⟩" for c in text)


def _quoted(value: Any) -> Markup:
    """What stands between backticks as code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(_visible(value)))))


def _subject(v: Verdict) -> dict[str, Any]:
    shown = [r for r in v.violations if r.violation is not None]  # a campaign has one for each finding, not each law
    broken = _first_of_each(shown)
    counted = [r for r in v.records if r.required and r.status != "not applicable"]
    return {
        "name": v.subject.name,
        "status": v.words,
        "look": LOOKS[v.status],
        "claims": _claims(v),
        "computes": list(_computes(v)),
        "run": _run(v),
        "held": sum(r.status == "verified" for r in counted),
        "judged": len(counted),
        "cases": sum(r.cases for r in v.records),
        "seconds": f"{v.seconds:.1f}",
        "diagnosis": next((r.diagnosis for r in broken if r.diagnosis is not None), None),
        "remarks": list(_remarks(v)),
        "drawn": [_violation(r, [b for b in shown if b.operation == r.operation]) for r in broken[:DRAWN]],
        "broken": [_listed(r) for r in shown],
        "precision": _precision(v),
        "histograms": list(_histograms(v)),
        "sensitivity": _sensitivity(v),
        "floor": FLOOR,
        "table": _table(v, counted),
        "laws": list(_laws(v.records)),
        "declined": list(_declined(v)),
        "characteristics": {_words(law): found for law, found in v.characteristics.items()},
        "coverage": [_coverage(v, operation) for operation in v.operations],
    }


def _first_of_each(records: Iterable[Record]) -> list[Record]:
    """One violation for each operation."""
    first: dict[str, Record] = {}
    for record in records:
        first.setdefault(record.operation, record)
    return list(first.values())


def _words(name: str) -> str:
    return name.replace("_", " ")


def _claims(v: Verdict) -> list[dict[str, Any]]:
    claims = v.subject.claims
    said = {name: getattr(claims, name) for name in claims.__dataclass_fields__}
    if v.subject.claim_for:
        said["algorithm"] = "what its registry states for each call"
    return [
        {
            "name": _words(name),
            "value": {"": "the operands' own, float32 for narrower ones", True: "yes", False: "no"}.get(value, value),
            "default": value == getattr(type(claims)(), name),
        }
        for name, value in said.items()
    ]


def _run(v: Verdict) -> dict[str, Any]:
    scope = v.subject.scope
    return {
        "dtypes": ", ".join(scope.dtypes),
        "arrays": f"{v.subject.array}, {v.subject.layout}, on {v.subject.device}",
        "run by": v.subject.interpreter.words if v.subject.interpreter else "the judge's own Python",
        "held fast": ", ".join(f"{name}={value}" for name, value in scope.fix.items()) or "nothing",
        "profile": v.profile,
        "seed": v.seed,
        "judged to the end": "yes" if v.complete else "no",
    }


def _remarks(v: Verdict) -> Iterable[str]:
    """Why a verdict is no better than it is."""
    if not v.complete:
        yield "Not every law was judged to its end: this is what was found so far."
    if not v.records:
        yield "No law was judged."
    few = [r.operation for r in v.unverified if r.law == CENTRAL]
    if few:
        yield f"Too few calls of {', '.join(few)} were accepted to compare them with exact values."
    if v.blind:
        yield f"The cases of {', '.join(v.blind)} would have missed a standard fault."
    for record in v.known:
        yield f"Known failure: {record.operation}: {_words(record.law)}: {record.expected}"
    for entry in v.unexpected_passes:
        yield f"Unexpected pass: {entry}"


# -------------------------------------------------------------------------------------------- violations


def _violation(record: Record, others: Sequence[Record]) -> dict[str, Any]:
    violation = record.violation
    assert violation is not None
    case, larger = violation.case, _larger(violation, others)
    return {
        **_listed(record),
        "before": violation.before,
        "first": violation.found if case and violation.found and not violation.found.same(case) else None,
        "picture": _picture(violation),
        "larger": larger and {**_listed(larger), "picture": _picture(larger.violation)},
        "printed": _end(violation.printed),
        "script": _script(record.folder),
    }


def _larger(shown: judge.Violation, others: Iterable[Record]) -> Record | None:
    """The violation with the largest result that was compared with exact values: there a fault has room to show."""
    compared = [r for r in others if r.violation is not None and "exact" in r.violation.compared]
    best = max(compared, key=_result_size, default=None)
    return best if best and best.violation is not shown and _result_size(best) > shown.of else None


def _result_size(record: Record) -> int:
    return record.violation.of if record.violation is not None else 0


def _picture(violation: Any) -> dict[str, Any]:
    """Operands and results as heat maps, with what is wrong and what the worst element is computed from."""
    case, compared, result = violation.case, violation.compared, violation.result
    exact = case is not None and "exact" in compared
    read = reads(case, result.partition(".")[0], violation.index) if exact else {}
    index = violation.index if violation.got is not None and "wrong" in compared else None
    results = _results(compared)
    return {
        "facts": _facts(violation),
        "result": result,
        "operands": _drawn(judge.parts(case.operands), read) if case else [],
        "results": [_array(result, said, a, scale, {"wrong": wrong}, index) for said, a, scale, wrong in results],
        "read": bool(read),
        "numbers": [*_values(case.operands if case else {}), *_values({said: a for said, a, *_ in results})],
    }


def _listed(record: Record) -> dict[str, Any]:
    violation = record.violation
    assert violation is not None
    return {
        "law": _words(record.law),
        "statement": record.statement,
        "operation": record.operation,
        "reason": violation.reason,
        "case": violation.case,
        "diagnosis": record.diagnosis,
        "again": f"refconv replay {shlex.quote(record.folder)}" if record.folder else None,
    }


def _facts(violation: judge.Violation) -> dict[str, str]:
    if violation.got is None:
        return {}
    facts = {
        "at": f"{violation.result}[{', '.join(map(str, violation.index))}]",
        "got": str(violation.got),
        "exact" if "exact" in violation.compared else "expected": str(violation.exact),
    }
    if violation.allowed is not None and not isinstance(violation.got, str) and not isinstance(violation.exact, str):
        facts["error"] = str(abs(violation.got - (violation.exact or 0.0)))
        facts["allowed error"] = str(violation.allowed)
    if violation.of:
        facts["wrong elements"] = f"{violation.wrong} of {violation.of}"
    return facts


def _results(compared: Mapping[str, Array]) -> list[tuple[str, Array, float, Array]]:
    """What came, what must come, and their difference: (words, array, scale, where it is wrong)."""
    shown = {said: compared[said] for said in ("got", "exact", "expected") if said in compared}
    arrays = {f"{said}{part}": a for said, array in shown.items() for part, a in _parts(array).items()}
    scale = picture.largest(*arrays.values())
    wrong = compared.get("wrong")
    out = [(said, a, scale, np.zeros(a.shape, bool) if wrong is None else wrong) for said, a in arrays.items()]
    if len(out) == 2 and wrong is not None:
        got, true = (np.asarray(array, dtype=np.float64) for _, array, *_ in out)
        with np.errstate(invalid="ignore"):
            difference = np.where(got == true, 0.0, got - true)
        out.append(("got minus " + out[1][0], difference, picture.largest(difference), wrong))
    return out


def _parts(array: Array) -> dict[str, Array]:
    """Words that tell the parts of a complex array apart; a real one is its only part."""
    if np.iscomplexobj(array):
        return {", real part": array.real, ", imaginary part": array.imag}
    return {"": array}


_MARKS = {"wrong": "wrong", "read": "enter the worst element"}


def _drawn(operands: Mapping[str, Array], read: Mapping[str, Array]) -> list[dict[str, Any]]:
    marks = {name: {"read": read[name.partition(".")[0]]} if read else {} for name in operands}
    return [_array(name, name, a, picture.largest(a), marks[name]) for name, a in operands.items()]


def _array(
    name: str, said: str, array: Array, scale: float, marks: Mapping[str, Array], at: Any = None
) -> dict[str, Any]:
    maps = picture.heat_maps(name, array, scale, marks, at)
    return {
        "said": said,
        "form": f"{array.dtype} {list(array.shape)}",
        "maps": maps,
        "size": array.size,
        "shown": sum(len(m.cells) for m in maps),
        "scale": picture.number(scale),
        "said_of_marks": "; ".join(f"{np.sum(mask)} {_MARKS[mark]}" for mark, mask in marks.items() if np.any(mask)),
    }


def _values(arrays: Mapping[str, Array]) -> Iterable[tuple[str, str]]:
    """Arrays written out, those of many elements left out."""
    with np.printoptions(threshold=VALUES, linewidth=100, floatmode="unique"):
        for name, array in arrays.items():
            if array.size <= VALUES:
                wide = array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
                yield name, np.array2string(wide, separator=", ").replace("\n\n", "\n")


def _end(printed: str) -> str:
    """The last lines, each cut to a length."""
    lines = printed.rstrip().rsplit("\n", LINES)[-LINES:]
    return "\n".join(line if len(line) <= 200 else f"{line[:200]} ..." for line in lines)


def _script(folder: str) -> str | None:
    path = Path(folder) / SCRIPT
    return path.read_text(encoding="utf-8") if folder and path.is_file() else None


# ------------------------------------------------------------------------------------ precision, coverage


def _precision(v: Verdict) -> list[dict[str, Any]]:
    """For each dtype and class, the operations whose results it is the strictest to explain."""
    found: dict[tuple[str, Any], list[str]] = {}
    for (operation, dtype), rung in v.classes.items():
        found.setdefault((dtype, rung and (rung.words, rung.options)), []).append(operation)
    rows = [(dtype, known, operations) for (dtype, known), operations in found.items()]
    return [
        {"dtype": dtype, "known": known is not None, "words": known and known[0], "options": known and known[1],
         "operations": ", ".join(operations)}
        for dtype, known, operations in sorted(rows, key=lambda row: row[0])
    ]  # fmt: skip


def _computes(v: Verdict) -> Iterable[str]:
    """What the results of each dtype are explained by, where all operations agree."""
    by_dtype: dict[str, set[Any]] = {}
    for (_, dtype), rung in v.classes.items():
        by_dtype.setdefault(dtype, set()).add(rung and rung.words)
    for dtype, words in by_dtype.items():
        if len(words) == 1 and None not in words:
            yield f"{dtype} computes as {words.pop()}"


def _histograms(v: Verdict) -> Iterable[dict[str, Any]]:
    """For each operation: on how many cases the largest error lay where, in units of the allowed one."""
    for operation in v.operations:
        records = [r for r in v.records if r.operation == operation]
        errors = sum((r.errors for r in records), Counter[int]())
        beyond = sum(r.violation is not None and r.violation.allowed is not None for r in records if r.required)
        if errors or beyond:
            counts = [("none", errors[0], "exact")]
            counts += [(f"≤ {i / TENTHS:g}", errors[i], "") for i in range(1, TENTHS + 1)]
            counts += [("> 1", beyond + sum(n for i, n in errors.items() if i > TENTHS), "beyond")]
            said = ", ".join(f"{label}: {count}" for label, count, _ in counts if count)
            yield {"operation": operation, "bars": picture.bars(counts), "said": said, "cases": errors.total() + beyond}


def _sensitivity(v: Verdict) -> dict[str, Any]:
    """A row for each operation, a column for each standard fault; None where it could mean nothing."""
    judged = {operation: one for operation, one in v.sensitivity.items() if one.meant}
    faults = [fault for fault in FAULTS if any(fault in one.meant for one in judged.values())]
    rows = [(operation, [one.shares().get(fault) for fault in faults]) for operation, one in judged.items()]
    return {"faults": faults, "rows": rows}


def _coverage(v: Verdict, operation: str) -> dict[str, Any]:
    design = plan(operation, v.subject.scope)
    met = {t for r in v.records if r.operation == operation for row in r.rows for t in triples_of(dict(row))}
    feasible = design.triples()
    drawn = picture.matrix(design.features, met, feasible)
    missed = [" with ".join(f"{name} {value}" for name, value in pair) for pair in drawn.missed]
    paths = {level: Markup(path) for level, path in drawn.paths.items()}  # numbers alone, and longer than a text
    return {
        "operation": operation,
        "items": drawn.items,
        "firsts": drawn.firsts,
        "paths": paths,
        "met": len(met & feasible),
        "of": len(feasible),
        "missed": missed,
    }


# ------------------------------------------------------------------------------------------------- laws


def _table(v: Verdict, counted: Sequence[Record]) -> dict[str, Any]:
    """A row for each operation, a column for each chapter of laws."""
    chapters = list(dict.fromkeys(r.chapter for r in counted))
    rows = []
    for operation in v.operations:
        records = [r for r in v.records if r.operation == operation]
        cells = [[r.status for r in counted if (r.operation, r.chapter) == (operation, c)] for c in chapters]
        rows.append(
            {
                "operation": operation,
                "cells": [{"held": c.count("verified"), "of": len(c), "broken": "violated" in c} for c in cells],
                "cases": sum(r.cases for r in records),
                "declined": sum(r.declined for r in records),
                "worst": max((r.worst for r in records if r.worst is not None), default=None),
            }
        )
    return {"chapters": chapters, "rows": rows}


STATES = {
    "violated": "broken by",
    "verified": "holds for",
    "unverified": "too few calls accepted of",
    "absent": "does not hold for",
    "not applicable": "says nothing of",
}


def _laws(records: Sequence[Record]) -> Iterable[dict[str, Any]]:
    """Each law once, with the operations by what was found."""
    by_law: dict[str, list[Record]] = {}
    for r in records:
        if r.law != OBSERVATION:
            by_law.setdefault(r.law, []).append(r)
    for law, rows in by_law.items():
        found = {state: [r.operation for r in rows if r.status == state] for state in STATES}
        yield {
            "law": _words(law),
            "chapter": rows[0].chapter,
            "statement": rows[0].statement,
            "required": rows[0].required,
            "found": [(state, STATES[state], ", ".join(ops)) for state, ops in found.items() if ops],
            "cases": sum(r.cases for r in rows),
        }


def _declined(v: Verdict) -> Iterable[dict[str, Any]]:
    """How often calls of each operation were declined, and the commonest reasons."""
    for operation in v.operations:
        asked = [r for r in v.records if r.operation == operation and r.status != "not applicable"]
        reasons = sum((r.reasons for r in asked), Counter[str]())
        if reasons:
            calls = sum(r.declined for r in asked)
            yield {"operation": operation, "calls": calls, "reasons": reasons.most_common(REASONS)}
