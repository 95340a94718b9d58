"""The command `refconv bench`: its options, what it times, and where the results go."""

from __future__ import annotations

import argparse
import json
import sys
import textwrap
from collections.abc import Callable
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from refconv.bench import EXIT_CODES, Bench, bench, pinned, rivals
from refconv.claims import CLAIMS
from refconv.files import write
from refconv.options import OPTIONS, file, limits_of, subjects
from refconv.peak import measured
from refconv.report import speed
from refconv.subject import TargetError
from refconv.timing import ROUNDS
from refconv.workloads import BATCHES, GROUPS, LAYERS, Workload, choose, workloads

__all__ = ["add", "run"]

USAGE_ERROR = 4
FEWEST = 6  # rounds that leave an interval of 95 %
SHARED = ("operation", "json", "timeout", "memory", "array", "device", "dtype", "layout", "python", *CLAIMS)

ABOUT = """\
Time an implementation beside our reference and PyTorch, on those layers of
well-known networks that it accepts, interleaved in one run, each in a process
of its own with the same operands. Only what is verified is timed: a first call,
and the very result of each timed call after its clock has stopped, on excerpts
drawn then, by the bound of the class that is claimed. That is a quick check of
these calls and no verdict: `refconv check` gives it.
"""
EXAMPLES = """\
examples:
  refconv bench mine.py:conv2d                   every layer of conv2d, batch 1
  refconv bench mine.py:conv2d --layer dense --layer resnext-128@56
  refconv bench mine.py --algorithm 'winograd(4,3)' --dtype float32 --batch 8
  refconv bench torch --operation max_pool2d --threads 2 --html speed.html

layers, by group:
{layers}

exit code: 0 timed, 1 a result is wrong, or faster than this machine can be,
2 interrupted, 4 usage error, 5 nothing was timed
"""


def add(commands: Any) -> None:
    """Put the command among the others."""
    rows = [f"{group}: {', '.join(r.name for r in LAYERS.values() if r.group == group)}" for group in GROUPS]
    wrapper = textwrap.TextWrapper(78, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False)
    parser = commands.add_parser(
        "bench",
        help="time an implementation, verified, beside our reference and PyTorch",
        description=ABOUT,
        epilog=EXAMPLES.format(layers="\n".join(map(wrapper.fill, rows))),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("target", metavar="TARGET", help="what to time, as for `refconv check`")
    parser.add_argument("--layer", action="append", default=[], metavar="NAME", help="a layer or a group (repeatable)")
    parser.add_argument("--batch", action="append", type=int, choices=BATCHES, help="images (repeatable; default: 1)")
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="of each contender (default: 1)")
    parser.add_argument("--rounds", type=int, default=ROUNDS, metavar="N", help=f"(default: {ROUNDS})")
    parser.add_argument("--html", default=None, metavar="FILE", help="write a page with the roofline to FILE")
    for flags, keywords in OPTIONS:
        if _name(flags) in SHARED:
            parser.add_argument(*flags, **keywords)


def _name(flags: tuple[str, ...]) -> str:
    return flags[0][2:].replace("-", "_")


def run(options: argparse.Namespace) -> int:
    """Time, show, write; the exit code says whether anything was refused."""
    defaults = {_name(flags): keywords.get("default", False) for flags, keywords in OPTIONS}
    option = {**defaults, **vars(options)}.__getitem__
    try:
        if options.rounds < FEWEST:
            raise TargetError(f"--rounds is {options.rounds}, but must be at least {FEWEST} for an interval of 95 %")
        layers = choose(tuple(options.layer))
        files = {name: file(option, name) for name in ("json", "html")}
        with pinned(options.threads):
            found = _timed(options, option, layers)
    except ValueError as error:  # a TargetError is one
        print(f"refconv: {error}", file=sys.stderr)
        return USAGE_ERROR
    speed.show(found, Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=150))
    if files["json"]:
        write(files["json"], json.dumps(speed.as_json(found), indent=1, allow_nan=False) + "\n")
    if files["html"]:
        write(files["html"], speed.page(found))
    return EXIT_CODES[found.status]


def _timed(options: argparse.Namespace, option: Callable[[str], Any], layers: list[str]) -> Bench:
    (subject, operations), *others = subjects([options.target], option, apart=True)
    assert not others  # one target, one subject
    dtypes = tuple(subject.scope.dtypes)
    forward = list(workloads(layers, tuple(options.batch or (1,)), dtypes))
    calls = [*forward, *(w.backward() for w in forward if w.group != "transposed")]
    names = [op.name for op in operations]
    chosen = [w for w in calls if w.operation in names]
    if not chosen:
        raise TargetError(f"--layer leaves none of {', '.join(names)}: name another layer, or none for all")
    with _progress() as progress:
        task = progress.add_task("measuring the machine", total=len(chosen))

        def started(workload: Workload) -> None:
            progress.update(task, description=workload.name, completed=chosen.index(workload))

        return bench(
            subject,
            rivals(subject, limits_of(option)),
            chosen,
            lambda: measured(options.threads, dtypes, subject.device),
            threads=options.threads,
            rounds=options.rounds,
            progress=started,
        )


def _progress() -> Progress:
    """On the terminal alone."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
