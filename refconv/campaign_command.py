"""The command `refconv campaign`: its options, who judges, what is shown meanwhile, and where it all goes."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict
from functools import partial
from itertools import takewhile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from refconv import chapters, crew, xfails
from refconv.campaign import Found, Plain, Plan, Row, Shard, Smallest, database, made_with, name_of, shards, work
from refconv.campaign_report import Report
from refconv.claims import CLAIMS
from refconv.cover import triples_of
from refconv.crew import Crew, Ended, Fault
from refconv.files import write
from refconv.ledger import Ledger
from refconv.options import OPTIONS, effort, file
from refconv.reproduce import absolute
from refconv.strategies import plan
from refconv.subject import TargetError
from refconv.verdict import EXIT_CODES
from refconv.xfails import Xfail

__all__ = ["add", "run"]

INTERRUPTED, FAULT, USAGE_ERROR = 2, 3, 4
SIZE = 16  # seeds of a shard
FAULTS = 5  # of refconv's own after which it gives up
EVERY = 5.0  # seconds between two lines where there is no terminal
UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
JUDGED = (
    "operation",
    "profile",
    "seed",
    "in_process",
    "timeout",
    "memory",
    "array",
    "device",
    "dtype",
    "layout",
    "fix",
    "python",
)
SHARED = (*JUDGED, *CLAIMS, "deterministic", "batch_invariant")

ABOUT = """\
Judge one implementation for as long as you like, on all processors or on a
Dask cluster: every law of every operation with seed after seed, until the time
is up or the seeds are done.

The work is cut into shards, a law of an operation with some seeds. What each
one finds is a file in FOLDER: stop it when you like, the same command goes on
where it stopped. A worker that is killed loses nothing. In the end equal
violations are one finding, with its smallest case and a script that shows it.
"""
EXAMPLES = """\
examples:
  refconv campaign mine.py:conv2d --time 8h --folder nightly
  refconv campaign pkg.kernels --seeds 1000 --dask tcp://10.0.0.5:8786

exit code: 0 correct, 1 wrong, 2 interrupted (the same command goes on),
3 refconv itself broke down, 4 usage error, 5 too little verified
"""


def add(commands: Any) -> None:
    """Put the command among the others."""
    parser = commands.add_parser(
        "campaign",
        help="judge an implementation for hours, on many processors or machines",
        description=ABOUT,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="TARGET", help="what to judge, as for `refconv check`")
    parser.add_argument("--time", type=_seconds, metavar="TIME", help="hand out shards for so long: 90s, 30m, 8h, 2d")
    parser.add_argument("--seeds", type=_number, metavar="N", help="at least so many seeds for each operation and law")
    parser.add_argument(
        "--shard", type=_number, default=SIZE, metavar="N", help=f"seeds that are judged in one go (default: {SIZE})"
    )
    workers = parser.add_mutually_exclusive_group()
    workers.add_argument(
        "--workers", type=_workers, metavar="N", help="processes (default: one a processor; 0: all in this one)"
    )
    workers.add_argument("--dask", metavar="ADDRESS", help="the scheduler of a Dask cluster, as tcp://HOST:8786")
    parser.add_argument(
        "--folder",
        default="refconv-campaign",
        metavar="FOLDER",
        help="where everything is kept (default: refconv-campaign)",
    )
    parser.add_argument(
        "--examples",
        metavar="DIR|redis://...",
        help="what broke a law, for every worker to ask first (default: FOLDER/examples)",
    )
    parser.add_argument("--json", default=None, metavar="FILE", help="write what was found to FILE")
    for flags, keywords in OPTIONS:
        if _name(flags) in (*SHARED, "xfails", "html"):
            parser.add_argument(*flags, **keywords)


def _name(flags: tuple[str, ...]) -> str:
    return flags[0][2:].replace("-", "_")


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd]?)", text)
    if not found or not float(found[1]):
        raise argparse.ArgumentTypeError(f"is {text!r}, but must be a time: 90s, 30m, 8h or 2d")
    return float(found[1]) * UNITS[found[2]]


def _number(text: str, least: int = 1) -> int:
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"is {text!r}, but must be an integer of at least {least}")
    return int(text)


def _workers(text: str) -> int:
    return _number(text, 0)


def run(options: argparse.Namespace) -> int:
    """Judge until the time is up or the seeds are done, show, write; the exit code is the verdict's."""
    try:
        if options.time is None and options.seeds is None:
            raise TargetError("--time or --seeds must say how long: --time 8h, or --seeds 100")
        path, page = (file(lambda name: getattr(options, name), name) for name in ("json", "html"))
        known = xfails.read(options.xfails)
        planned = _plan(options)
        xfails.check(known, planned.asked(), chapters.laws())
        campaign = Campaign(planned, Path(options.folder), _crew(options), options.seeds, options.time, known)
        report = campaign.run()
    except TargetError as error:
        print(f"refconv: {error}", file=sys.stderr)
        return USAGE_ERROR
    report.show(Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=150))
    print(f"\n{campaign.judged}")
    if path:
        write(path, json.dumps(report.as_json(), indent=1, allow_nan=False) + "\n")
    if page:
        write(page, report.html())
    write(campaign.folder / "report.md", report.markdown())
    return campaign.ended(report)


def _plan(options: argparse.Namespace) -> Plan:
    given = {name: getattr(options, name) for name in SHARED}
    effort({**given, "failures": "none"}.__getitem__)  # says what is wrong with --profile and --seed
    where = options.examples or str(Path(options.folder).resolve() / "examples")
    target = absolute(options.target)
    known = where if "://" in where else str(Path(where).resolve())
    out = Plan(target, given, options.shard, made_with(target), known)
    subject, _ = out.loaded()
    subject.renewed()  # that it can be loaded is known: its process is not needed here
    database(known)
    return out


def _crew(options: argparse.Namespace) -> Crew:
    if options.dask is not None:
        if options.in_process:
            raise TargetError("--in-process cannot be used with --dask: its workers do other things in their processes")
        return crew.cluster(options.dask)
    count = os.cpu_count() if options.workers is None else options.workers
    return crew.processes(count) if count else crew.here


Triple = frozenset[tuple[str, str]]


class Campaign:
    """A campaign under way: what is known from its folder, and what is judged now."""

    def __init__(
        self,
        plan: Plan,
        folder: Path,
        judges: Crew,
        seeds: int | None,
        limit: float | None,
        known: Sequence[Xfail] = (),
    ) -> None:
        self.plan, self.folder, self.judges, self.seeds, self.limit = plan, folder, judges, seeds, limit
        self.known = known
        self.ledger, self.found = Ledger(folder, plan), Found()
        self.faults: list[str] = []
        self.interrupted = False

    def run(self) -> Report:
        """Shards first, then what they found is brought down to size; Ctrl-C ends either."""
        for record in self.ledger.records():
            self.found.add(record)
        self.started, self.taken, self.before = time.monotonic(), len(self.found.done), self.found.cases
        if self.taken:
            _say(f"{self.folder}: {self.taken} shards and {self.found.cases} cases are there, the campaign goes on")
        with _Display(self) as display:
            try:
                for phase in (self._shards(), self._waiting()):
                    self._judge(phase, display)
            except KeyboardInterrupt:
                self.interrupted = True
        if self.interrupted:
            _say(f"interrupted; all that was finished is in {self.folder}, the same command goes on")
        for fault in self.faults:
            _say(f"{fault}\nthis is a fault of refconv, not of the subject")
        complete = not (self.interrupted or self.faults)
        verdict = self.found.verdict(self.plan, complete, self.known)
        return Report(self.plan, self.found, verdict, self.found.findings(), self.folder, self.faults)

    @property
    def judged(self) -> str:
        """What was done this time, in words."""
        seconds, cases = time.monotonic() - self.started, self.found.cases - self.before
        return (
            f"{len(self.found.done) - self.taken} shards judged in {seconds:.0f} s, on {cases} cases "
            f"({cases / seconds:.0f} a second); all is in {self.folder}"
        )

    def ended(self, report: Report) -> int:
        """The exit code."""
        if self.faults or self.found.lost:
            return FAULT
        return INTERRUPTED if self.interrupted else EXIT_CODES[report.verdict.status]

    @property
    def total(self) -> int | None:
        """How many shards there are, where that is known."""
        if self.seeds is None:
            return None
        return sum(1 for _ in shards(self.plan, 1)) * -(-self.seeds // self.plan.size)

    def _shards(self) -> Iterator[Shard]:
        """Those that are not judged yet, until the time is up."""
        until = time.monotonic() + (self.limit or float("inf"))
        left = (s for s in shards(self.plan, self.seeds) if name_of({"shard": asdict(s)}) not in self.found.done)
        return takewhile(lambda _: time.monotonic() < until, left)

    def _waiting(self) -> Iterator[Smallest]:
        yield from self.found.waiting()

    def _judge(self, jobs: Iterator[Shard] | Iterator[Smallest], display: _Display) -> None:
        with closing(self.judges(partial(work, self.plan), jobs)) as outcomes:
            for job, outcome in outcomes:
                for record in self._records(job, outcome):
                    self.ledger.write(record)
                    self.found.add(record)
                display.step(job)
                if len(self.faults) >= FAULTS:
                    return

    def _records(self, job: Shard | Smallest, outcome: Any) -> list[Plain]:
        if isinstance(outcome, Ended) and isinstance(job, Shard):
            return [{"shard": asdict(job), "found": None, "ended": outcome.how}]
        if isinstance(outcome, Fault | Ended):
            said = outcome.said if isinstance(outcome, Fault) else f"ends its worker {outcome.how}"
            self.faults.append(f"{job.name}: {said}")
            return []
        records: list[Plain] = outcome
        return records


def _say(text: str) -> None:
    print(f"refconv: {text}", file=sys.stderr)


class _Display:
    """On standard error how far it is: a bar on a terminal, a line every few seconds elsewhere."""

    def __init__(self, campaign: Campaign) -> None:
        self.campaign, self.found = campaign, campaign.found
        self.last = time.monotonic()
        self.rows: dict[str, set[Row]] = {}
        self.met: dict[str, set[Triple]] = {}
        console = Console(stderr=True)
        columns = (BarColumn(10), TimeElapsedColumn(), TextColumn("{task.description}"))
        self.bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.bar.add_task("starting", total=1)

    def __enter__(self) -> _Display:
        self.bar.start()
        for operation, _ in self.found.laws:
            self._meet(operation)
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.stop()

    def step(self, job: Shard | Smallest) -> None:
        """A job is done."""
        self._meet(job.operation)
        now = time.monotonic()
        if now - self.last > (EVERY if self.bar.disable else 0.2):
            self.last, said = now, self._said(job)
            self.bar.update(self.task, completed=self._share(), description=said)
            if self.bar.disable:
                print(said, file=sys.stderr, flush=True)

    def _meet(self, operation: str) -> None:
        known = self.rows.setdefault(operation, set())
        for (name, _), law in self.found.laws.items():
            if name == operation:
                for row in law.rows - known:
                    self.met.setdefault(operation, set()).update(triples_of(dict(row)))
                known |= law.rows

    def _share(self) -> float:
        """How much of the seeds, or of the time, whichever is nearer to its end."""
        total, limit = self.campaign.total, self.campaign.limit
        judged = len(self.found.done) / total if total else 0.0
        return min(1.0, max(judged, (time.monotonic() - self.campaign.started) / limit if limit else 0.0))

    def _said(self, job: Shard | Smallest) -> str:
        number = len(self.found.findings())
        findings = f"{number} finding{'s' * (number != 1)}"
        if isinstance(job, Smallest):
            return f"{findings}; {len(self.found.waiting())} to be brought down to size"
        total = self.campaign.total
        rate = (self.found.cases - self.campaign.before) / (time.monotonic() - self.campaign.started)
        of = f"/{total}" if total else ""
        return f"{len(self.found.done)}{of} shards, {self.found.cases} cases, {rate:.0f}/s, {self._met()}{findings}"

    def _met(self) -> str:
        """The share of feature triples that were met, of the operations judged so far."""
        subject, _ = self.campaign.plan.loaded()
        wanted = {name: plan(name, subject.scope).triples() for name in self.met}
        feasible = sum(map(len, wanted.values()))
        met = sum(len(self.met[name] & triples) for name, triples in wanted.items())
        return f"{100 * met / feasible:.0f} % triples, " if feasible else ""
