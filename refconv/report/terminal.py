"""The verdict in a terminal: one line first, then what it rests on."""

from __future__ import annotations

import math
import shlex
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from refconv.law import Record
from refconv.spec import Case
from refconv.verdict import CENTRAL, KNOWN, Verdict

__all__ = ["claim", "evidence", "judged", "overview", "remarks", "show", "table", "violation"]

STYLES = {"correct": "bold green", KNOWN: "bold yellow", "wrong": "bold red", "not verified": "bold yellow"}
SHOWN_LINES = 5
SHOWN_VALUES = 64
SHOWN_VIOLATIONS = 3
SHOWN_LAWS = 3
SHOWN_DECLINES = 3


def show(verdict: Verdict, console: Console) -> None:
    """Verdict, claim, table of laws by operation, what was not verified, and the violation with its case."""
    overview(verdict, claim(verdict), console)
    broken = verdict.violations
    for record in _distinct(broken)[:SHOWN_VIOLATIONS]:
        console.print()
        violation(evidence(record), console)
    if broken:
        console.print()
        console.print(Text(_broken(broken)), soft_wrap=True)


def overview(verdict: Verdict, about: str, console: Console) -> None:
    """Verdict, what it is about, table of laws by operation, and what was not verified."""
    console.print(Text(f"VERDICT: {verdict.words}", style=STYLES[verdict.status]))
    console.print(Text(about), soft_wrap=True)
    drawn = _table(verdict)
    if Measurement.get(console, console.options.update(max_width=500), drawn).maximum > console.width:
        drawn = _table(verdict, short=True)
    console.print(drawn)
    console.print(Text(LEGEND, style="dim"), soft_wrap=True)
    for line in remarks(verdict):
        console.print(Text(line), soft_wrap=True)


def claim(v: Verdict) -> str:
    """What was judged, against which claim, with what effort, in one line."""
    return f"{judged(v)}; {v.profile}, seed {v.seed}"


def judged(v: Verdict) -> str:
    """What was judged, against which claim."""
    claims = v.subject.claims
    default = type(claims)()
    said = [
        f"{name}={value}"
        for name in claims.__dataclass_fields__
        if (value := getattr(claims, name)) != getattr(default, name)
    ]
    against = "the class its registry states" if v.subject.claim_for else ", ".join(said) or "the default claim"
    run_by = f"; run by {v.subject.interpreter.words}" if v.subject.interpreter else ""
    return f"{v.subject.name} against {against}; {', '.join(v.subject.scope.dtypes)}{run_by}"


LEGEND = "laws held of laws judged; worst: error in units of the allowed one; feature triples met"


def _table(v: Verdict, short: bool = False) -> Table:
    header, rows = table(v, short)
    drawn = Table(box=None, pad_edge=False, header_style="bold")
    for number, name in enumerate(header):
        drawn.add_column(name, justify="right" if number else "left", no_wrap=True)
    for row in rows:
        drawn.add_row(*row)
    return drawn


def table(v: Verdict, short: bool = False) -> tuple[list[str], list[list[Text]]]:
    """A row for each operation, a column for each chapter of laws; short: one column for all of them."""
    chapters = ["laws"] if short else list(dict.fromkeys(r.chapter for r in v.records if _counts(r)))
    rows = []
    for operation in v.operations:
        records = [r for r in v.records if r.operation == operation]
        seen, wanted = v.coverage(operation)
        worst = max((r.worst for r in records if r.worst is not None), default=None)
        cells = [_cell([r for r in records if _counts(r) and (short or r.chapter == c)]) for c in chapters]
        ends = (
            str(sum(r.cases for r in records)),
            _share(sum(r.declined for r in records), sum(r.cases for r in records)),
            "" if worst is None else _ratio(worst),
            f"{100 * seen / max(wanted, 1):.0f} %",
        )
        rows.append([Text(operation), *cells, *map(Text, ends)])
    return ["operation", *chapters, "cases", "declined", "worst", "triples"], rows


def _counts(record: Record) -> bool:
    """Whether the law is one that the operation could hold or break."""
    return record.required and record.status != "not applicable"


def _cell(rows: Sequence[Record]) -> Text:
    if not rows:
        return Text("")
    held = sum(r.status == "verified" for r in rows)
    style = (
        "red" if any(r.status == "violated" and not r.expected for r in rows) else "" if held == len(rows) else "yellow"
    )
    return Text(f"{held}/{len(rows)}", style=style)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.0f} %" if part else "0"


def _ratio(value: float) -> str:
    return f"{value:.3f}" if math.isfinite(value) else str(value)


def remarks(v: Verdict) -> Iterable[str]:
    """What stands under the table, line by line."""
    yield from (*_precision(v), *_sensitivity(v), *_remarks(v))


def _precision(v: Verdict) -> Iterable[str]:
    """Which class the results are explained by, and what would have to be claimed."""
    by_class: dict[tuple[str, str], list[str]] = {}
    for (operation, dtype), rung in v.classes.items():
        words = "no known class" if rung is None else rung.words
        hint = f" (claim it with {rung.options})" if rung is not None and rung.options else ""
        by_class.setdefault((dtype, words + hint), []).append(operation)
    for (dtype, words), operations in by_class.items():
        everywhere = len(by_class) == len({d for d, _ in by_class})
        yield f"{dtype} computes as {words}" + ("" if everywhere else f": {', '.join(operations)}")


def _sensitivity(v: Verdict) -> Iterable[str]:
    """What the cases would have caught, over all operations; and where they would not."""
    meant: Counter[str] = Counter()
    caught: Counter[str] = Counter()
    for one in v.sensitivity.values():
        meant += one.meant
        caught += one.caught
    if meant:
        shares = ", ".join(f"{fault} on {100 * caught[fault] / meant[fault]:.0f} %" for fault in meant)
        yield f"sensitivity: the cases would have caught {shares} of them"
    if v.blind:
        yield f"not verified: the cases of {', '.join(v.blind)} would have missed a standard fault"


def _remarks(v: Verdict) -> Iterable[str]:
    if not v.complete:
        yield "not every law was judged to its end: this is what was found so far"
    elif not v.records:
        yield "no law was judged"
    yield from _known(v)
    yield from _unverified(v)
    yield from _declined(v)
    for law, found in v.characteristics.items():
        yield f"characteristic: {_words(law)}: {_state(found)}"


def _state(found: Counter[str]) -> str:
    if found["absent"]:
        return "holds in part" if found["verified"] else "does not hold"
    return "holds" if found["verified"] else "not found out"


def _known(v: Verdict) -> Iterable[str]:
    """What was known to fail: the laws that do, in one line for each reason, and entries for which none does."""
    reasons: dict[str, list[Record]] = {}
    for r in v.known:
        reasons.setdefault(r.expected, []).append(r)
    for reason, records in reasons.items():
        yield f"known failure: {_lawwise(records)}: {reason}"
    for entry in v.unexpected_passes:
        yield f"UNEXPECTED PASS: {entry}: no law of it is broken any more; take it out ({entry.reason})"


def _lawwise(records: Sequence[Record]) -> str:
    operations = ", ".join(dict.fromkeys(r.operation for r in records))
    laws = list(dict.fromkeys(_words(r.law) for r in records))
    more = f" and {len(laws) - SHOWN_LAWS} more laws" * (len(laws) > SHOWN_LAWS)
    return f"{operations}: {'; '.join(laws[:SHOWN_LAWS])}{more}"


def _unverified(v: Verdict) -> Iterable[str]:
    """Laws that could not be judged, those of the same operations in one line."""
    laws: dict[str, list[str]] = {}
    for r in sorted(v.unverified, key=lambda r: r.law != CENTRAL):
        laws.setdefault(r.law, []).append(r.operation)
    groups: dict[tuple[str, ...], list[str]] = {}
    for law, operations in laws.items():
        groups.setdefault(tuple(operations), []).append(_words(law))
    for together, names in groups.items():
        more = f" and {len(names) - SHOWN_LAWS} more laws" * (len(names) > SHOWN_LAWS)
        shown = "; ".join(names[:SHOWN_LAWS])
        yield f"not verified: {', '.join(together)}: too few calls were accepted for: {shown}{more}"


def _declined(v: Verdict) -> Iterable[str]:
    """For the operations that decline most, how often and why."""
    asked = [r for r in v.records if r.declined and r.status != "not applicable"]
    declines = {op: [r for r in asked if r.operation == op] for op in v.operations}
    by_number = sorted(declines, key=lambda op: -sum(r.declined for r in declines[op]))
    for op in [op for op in by_number if declines[op]][:SHOWN_DECLINES]:
        reasons = sum((r.reasons for r in declines[op]), Counter[str]())
        reason, times = reasons.most_common(1)[0]
        said = " ".join(reason.split())[:160]
        yield f"declined: {op}: {sum(r.declined for r in declines[op])} calls, {times} of them: {said}"


def _words(name: str) -> str:
    return name.replace("_", " ")


def _distinct(records: Sequence[Record]) -> list[Record]:
    """One violation for each operation."""
    return [r for n, r in enumerate(records) if r.operation not in {before.operation for before in records[:n]}]


def _broken(records: Sequence[Record]) -> str:
    laws: dict[str, list[str]] = {}
    for r in records:
        laws.setdefault(r.law, []).append(r.operation)
    lines = [f"  {_words(law)}: {', '.join(operations)}" for law, operations in laws.items()]
    return "\n".join([f"{len(laws)} law{'s' * (len(laws) > 1)} broken:", *lines])


def violation(lines: Sequence[str], console: Console) -> None:
    """A broken law, from its `evidence`."""
    first, *rest = lines
    console.print(Text(first, style="bold"), soft_wrap=True)
    console.print(Text("\n".join(rest)), soft_wrap=True, highlight=False)


def evidence(record: Record) -> list[str]:
    """A broken law in lines: the statement, where and by how much, what it is, how to see it again, what it printed."""
    violation = record.violation
    assert violation is not None
    lines = [f"{record.operation}: {record.statement}", *str(violation).splitlines()]
    if record.diagnosis is not None:
        lines.append(f"what     {record.diagnosis}")
    if violation.case is not None:
        lines += _operands(violation.case).splitlines()
    if record.folder:
        lines.append(f"again    refconv replay {shlex.quote(record.folder)}")
    if violation.printed:
        printed = violation.printed.rstrip().splitlines()[-SHOWN_LINES:]
        lines += ["it printed", *(f"  | {line[:200]}" for line in printed)]
    return lines


def _operands(case: Case) -> str:
    with np.printoptions(threshold=SHOWN_VALUES, linewidth=100, floatmode="unique"):
        return "\n".join(f"{name} = {_array(a)}" for name, a in case.operands.items())


def _array(array: Any) -> str:
    if array.size > SHOWN_VALUES:
        return f"{array.dtype}{list(array.shape)} with {np.count_nonzero(array)} non-zero elements"
    values = array.astype(np.complex128 if np.iscomplexobj(array) else np.float64)
    return np.array2string(values, separator=", ").replace("\n\n", "\n")
