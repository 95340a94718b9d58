"""What a campaign found, in a terminal, as JSON and as a page in Markdown: the verdict, then each finding once."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from refconv import reproduce
from refconv.campaign import Finding, Found, Plan
from refconv.diagnosis.kinds import Diagnosis
from refconv.law import Record
from refconv.report import markdown, terminal
from refconv.verdict import Verdict

__all__ = ["Report"]

SHOWN = 3  # findings with their evidence in a terminal; all are in the page
SCHEMA = 1


@dataclass(frozen=True)
class Report:
    """What there is to say; faults are refconv's own."""

    plan: Plan
    found: Found
    verdict: Verdict
    findings: Sequence[Finding]
    folder: Path
    faults: Sequence[str]

    @property
    def about(self) -> str:
        """The campaign in one line."""
        judged = [int(name.rpartition("-")[2]) for name in self.found.done]
        last = max(judged, default=self.plan.first) - 1
        seeds = f"seeds {self.plan.first} to {last}" if judged else "no seed"
        return f"{terminal.judged(self.verdict)}; {self.verdict.profile}, {seeds}, {len(self.found.done)} shards"

    def remarks(self) -> list[str]:
        """What a check has no words for."""
        out = []
        for dtype, classes in sorted(self.found.classes.items()):
            said = ", ".join(f"{words} in {n}" for words, n in sorted(classes.items(), key=lambda c: (-c[1], c[0])))
            out.append(f"precision classes of {dtype}, by shards: {said}")
        out += [f"known: {self._line(f).strip()}" for f in self.findings if self.expected(f)]
        out += [
            f"ENDS ITS WORKER: {name.removeprefix('shards/')}: {how}" for name, how in sorted(self.found.lost.items())
        ]
        return out

    def show(self, console: Console) -> None:
        """In a terminal."""
        terminal.overview(self.verdict, self.about, console)
        for line in self.remarks():
            console.print(Text(line), soft_wrap=True)
        new = [finding for finding in self.findings if not self.expected(finding)]
        for finding in new[:SHOWN]:
            console.print()
            terminal.violation(self.evidence(finding), console)
        if new:
            console.print()
            said = f"{len(new)} finding{'s' * (len(new) > 1)}:"
            console.print(Text("\n".join([said, *map(self._line, new)])), soft_wrap=True)

    def expected(self, finding: Finding) -> bool:
        """Whether every law that it breaks is known to be broken."""
        known = {(r.operation, r.law) for r in self.verdict.known}
        return all((finding.operation, law) in known for law in {finding.law, *finding.laws})

    def evidence(self, finding: Finding) -> list[str]:
        """A finding in lines: its smallest case and how to see it again; what is known where there is none yet."""
        count = f"found    by {finding.count} shard{'s' * (finding.count != 1)}"
        if len(finding.laws) > 1:
            count += f" of {len(finding.laws)} laws"
        if finding.remembered:
            count += f", by {finding.remembered} remembered call{'s' * (finding.remembered > 1)}"
        if finding.detail is None:
            return [f"{self._line(finding).strip()}", count, "its case is brought down when the campaign goes on"]
        if finding.detail["law"] is None:
            return [f"{self._line(finding).strip()}", count, "it did not happen again when asked for alone"]
        again = [f"again    refconv replay {shlex.quote(str(self.place(finding)))}"] if finding.detail["files"] else []
        return [*finding.detail["evidence"], *again, count]

    def place(self, finding: Finding) -> Path:
        """Where a finding's operands and script are."""
        return self.folder / "violations" / finding.smallest.name

    @staticmethod
    def _line(finding: Finding) -> str:
        laws = f"{finding.law.replace('_', ' ')}" + f" and {len(finding.laws) - 1} more" * (len(finding.laws) > 1)
        return f"  {finding.operation}: {laws}: {finding.what}"

    def markdown(self) -> str:
        """The page."""
        parts = [markdown.overview(self.verdict, self.about), markdown.block(self.remarks())]
        parts += [markdown.block(self.evidence(finding)) for finding in self.findings]
        return "\n\n".join(part for part in parts if part) + "\n"

    def html(self) -> str:
        """The page of a check, with the smallest case of each finding."""
        from refconv.report.html import page  # only then its templates

        found = {(f.operation, f.law): f for f in self.findings if f.detail and f.detail.get("files")}
        records = [
            self._shown(r, found[r.operation, r.law]) if (r.operation, r.law) in found else r
            for r in self.verdict.records
        ]
        return page([replace(self.verdict, records=records)])

    def _shown(self, record: Record, finding: Finding) -> Record:
        assert finding.detail is not None
        said, place = finding.detail["law"]["diagnosis"], self.place(finding)
        diagnosis = Diagnosis(**said) if said else None
        return replace(record, violation=reproduce.kept(place), diagnosis=diagnosis, folder=str(place))

    def as_json(self) -> dict[str, Any]:
        """Everything, in plain types, the same for the same records."""
        return {
            "schema": SCHEMA,
            "plan": {**asdict(self.plan), "known": None},
            "verdict": self.verdict.status,
            "complete": self.verdict.complete,
            "shards": len(self.found.done),
            "ends_its_worker": dict(sorted(self.found.lost.items())),
            "coverage": {
                op: dict(zip(("exercised", "feasible"), self.verdict.coverage(op), strict=True))
                for op in self.verdict.operations
            },
            "classes": {dtype: dict(sorted(classes.items())) for dtype, classes in sorted(self.found.classes.items())},
            "laws": [
                {
                    "operation": r.operation,
                    "law": r.law,
                    "required": r.required,
                    "status": r.status,
                    "cases": r.cases,
                    "accepted": r.accepted,
                    "declined": r.declined,
                    "dtypes": dict(sorted(r.dtypes.items())),
                    "worst": r.worst,
                }
                for r in self.verdict.records
            ],
            "findings": [
                {
                    "operation": f.operation,
                    "law": f.law,
                    "laws": dict(sorted(f.laws.items())),
                    "kind": f.kind,
                    "words": f.words,
                    "shards": f.count,
                    "remembered": f.remembered,
                    "expected": self.expected(f),
                    "smallest": f.detail["law"] if f.detail else None,
                    "folder": f"violations/{f.smallest.name}" if f.detail and f.detail.get("files") else None,
                }
                for f in self.findings
            ],
        }
