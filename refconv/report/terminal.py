"""The verdict in a terminal: one line first, then what it rests on."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from refconv.law import Record
from refconv.spec import Case
from refconv.verdict import Verdict

__all__ = ["show"]

STYLES = {"correct": "bold green", "wrong": "bold red", "not verified": "bold yellow"}
SHOWN_VALUES = 64
SHOWN_VIOLATIONS = 3


def show(verdict: Verdict, console: Console) -> None:
    """Verdict, claim, table of laws by operation, what was not verified, and the violation with its case."""
    console.print(Text(f"VERDICT: {verdict.status}", style=STYLES[verdict.status]))
    console.print(Text(_claim(verdict)))
    console.print(_table(verdict))
    for line in _remarks(verdict):
        console.print(Text(line), soft_wrap=True)
    broken = verdict.violations
    for record in _distinct(broken)[:SHOWN_VIOLATIONS]:
        console.print()
        _violation(record, console)
    if broken:
        console.print()
        console.print(Text(_broken(broken)), soft_wrap=True)


def _claim(v: Verdict) -> str:
    claims = v.subject.claims
    default = type(claims)()
    said = [
        f"{name}={value}"
        for name in claims.__dataclass_fields__
        if (value := getattr(claims, name)) != getattr(default, name)
    ]
    judged = "the class its registry states" if v.subject.claim_for else ", ".join(said) or "the default claim"
    return f"{v.subject.name} against {judged}; {', '.join(v.subject.scope.dtypes)}; {v.profile}, seed {v.seed}"


def _table(v: Verdict) -> Table:
    chapters = list(dict.fromkeys(r.chapter for r in v.records if r.required))
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    table.add_column("operation", no_wrap=True)
    for chapter in chapters:
        table.add_column(chapter, justify="right", no_wrap=True)
    for name in ("cases", "declined", "worst", "triples"):
        table.add_column(name, justify="right", no_wrap=True)
    for operation in v.operations:
        rows = [r for r in v.records if r.operation == operation]
        seen, wanted = v.coverage(operation)
        worst = max((r.worst for r in rows if r.worst is not None), default=None)
        cells = [_cell([r for r in rows if r.chapter == chapter and r.required]) for chapter in chapters]
        table.add_row(
            operation,
            *cells,
            str(sum(r.cases for r in rows)),
            f"{_share(sum(r.declined for r in rows), sum(r.cases for r in rows))}",
            "" if worst is None else _ratio(worst),
            f"{100 * seen / max(wanted, 1):.0f} %",
        )
    table.caption = "laws held of laws judged; worst: error in units of the allowed one; feature triples met"
    table.caption_justify = "left"
    return table


def _cell(rows: Sequence[Record]) -> Text:
    if not rows:
        return Text("")
    held = sum(r.status == "verified" for r in rows)
    style = "red" if any(r.status == "violated" for r in rows) else "" if held == len(rows) else "yellow"
    return Text(f"{held}/{len(rows)}", style=style)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if part else "0"


def _ratio(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else str(value)


def _remarks(v: Verdict) -> Iterable[str]:
    names: dict[str, list[str]] = {}
    for r in v.unverified:
        names.setdefault(r.law, []).append(r.operation)
    for law, operations in names.items():
        yield f"not verified: {_words(law)} ({', '.join(operations)}): too few calls were accepted"
    declined = max((r for r in v.records if r.reasons), key=lambda r: r.declined, default=None)
    if declined is not None:
        reason, times = declined.reasons.most_common(1)[0]
        yield f"declined, for example by {declined.operation} ({times} times): {' '.join(reason.split())[:160]}"
    for law, found in v.characteristics.items():
        state = "holds" if not found["absent"] else "does not hold" if not found["verified"] else "holds in part"
        yield f"characteristic: {_words(law)}: {state}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _distinct(records: Sequence[Record]) -> list[Record]:
    """One violation for each operation."""
    return list({r.operation: r for r in reversed(records)}.values())[::-1]


def _broken(records: Sequence[Record]) -> str:
    laws: dict[str, list[str]] = {}
    for r in records:
        laws.setdefault(r.law, []).append(r.operation)
    lines = [f"  {_words(law)}: {', '.join(operations)}" for law, operations in laws.items()]
    return "\n".join([f"{len(laws)} laws broken:", *lines])


def _violation(record: Record, console: Console) -> None:
    violation = record.violation
    assert violation is not None
    console.print(Text(f"{record.operation}: {record.statement}", style="bold"), soft_wrap=True)
    console.print(Text(str(violation)), soft_wrap=True, highlight=False)
    if violation.case is not None:
        console.print(Text(_operands(violation.case)), soft_wrap=True, highlight=False)


def _operands(case: Case) -> str:
    with np.printoptions(threshold=SHOWN_VALUES, linewidth=100, floatmode="unique"):
        return "\n".join(f"{name} = {_array(a)}" for name, a in case.operands.items())


def _array(array: Any) -> str:
    if array.size > SHOWN_VALUES:
        return f"{array.dtype}{list(array.shape)} with {np.count_nonzero(array)} non-zero elements"
    values = array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
    return np.array2string(values, separator=", ").replace("\n\n", "\n")
