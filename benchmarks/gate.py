"""Is the working tree slower than a commit? Fails only on a slowdown that is real.

python -m benchmarks.gate BASE [--json FILE]

Both versions run in one job, each in a process of its own on the same processor, and take turns sample by sample. A
pair of processes gives one ratio, the median of its rounds; a new pair has its memory laid out anew, which alone moves
times by some percent. A slowdown is real where at most one of 11 pairs is below 1.05: the interval of order statistics,
from the second smallest ratio to the second largest, holds the median with probability 1 - 2 (1 + 11) / 2^11 = 98.8 %,
and its lower end is what is held against 1.05. If identical code gives a pair above 1.05 with probability q, the alarm
comes with probability 11 q^10 (1 - q) + q^11: below 0.0001 even for q = 0.3. Work with two pairs below cannot raise it
any more and is cleared at once. ALARMS.md says how often it really is wrong.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path

import numpy as np

from benchmarks.side import WORK
from refconv.files import write
from refconv.timing import ratio

ROOT = Path(__file__).parent.parent
PAIRS = 11  # of processes, for each work that is not cleared before
SPARED = 1  # of them may be below the margin
MARGIN = 1.05  # a slowdown of less is nobody's business
ROUNDS = 11  # samples of each side in a pair
SAMPLE = 5e-3  # seconds
USAGE_ERROR = 4


@dataclass
class Found:
    """The ratios of one work, change to base, of each pair of processes; or why there are none."""

    work: str
    ratios: list[float] = field(default_factory=list)
    lacks: str = ""

    @property
    def open(self) -> bool:
        """Whether more pairs could still make it an alarm."""
        return not self.lacks and len(self.ratios) < PAIRS and self._below <= SPARED

    @property
    def slower(self) -> bool:
        return not self.lacks and len(self.ratios) >= PAIRS and self._below <= SPARED

    @property
    def _below(self) -> int:
        return sum(r <= MARGIN for r in self.ratios)

    def __str__(self) -> str:
        if self.lacks:
            return f"{self.work:45} not compared: {self.lacks}"
        middle = f"{np.median(self.ratios):.3f}"
        if len(self.ratios) == PAIRS:
            one = ratio(self.ratios, np.ones(PAIRS))
            middle += f" [{one.low:.3f}, {one.high:.3f}]"
        return f"{self.work:45} {middle}" + "  SLOWER" * self.slower


class Side:
    """A process that times the refconv below a folder."""

    def __init__(self, folder: Path, *plant: str) -> None:
        environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        command = [sys.executable, str(ROOT / "benchmarks" / "side.py"), *plant]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=environment, cwd=folder)

    def ask(self, **request: object) -> dict:
        stdin, stdout = self.process.stdin, self.process.stdout
        assert stdin is not None and stdout is not None
        stdin.write(json.dumps(request) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise RuntimeError(f"a side ended with exit code {self.process.wait()}: see what it said above")
        return json.loads(line)

    def __enter__(self) -> Side:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def compare(base: Path, change: Path, plant: tuple[str, ...] = (), works: tuple[str, ...] = tuple(WORK)) -> list[Found]:
    """Pairs of processes until every work is cleared or an alarm; a slowdown may be planted in the change."""
    found = {work: Found(work) for work in works}
    while waiting := [one for one in found.values() if one.open]:
        with Side(base) as first, Side(change, *plant) as second:
            for one in waiting:
                _pair(one, first, second)
        if sys.stderr.isatty():
            print(f"{sum(not one.open for one in found.values())}/{len(found)} decided", file=sys.stderr)
    return list(found.values())


def _pair(one: Found, base: Side, change: Side) -> None:
    """One more ratio: rounds in which the sides take turns, each beginning every second."""
    sides = (base, change)
    answers = [side.ask(work=one.work) for side in sides]
    if lacks := [
        f"{name} has {a['lacks']}" for name, a in zip(("base", "change"), answers, strict=True) if "lacks" in a
    ]:
        one.lacks = "; ".join(lacks)
        return
    once = min(min(side.ask(repeats=1)["seconds"] for _ in range(2)) for side in sides)
    repeats = max(1, ceil(SAMPLE / once))
    times: tuple[list[float], list[float]] = ([], [])
    for i in range(ROUNDS):
        for which in ((0, 1), (1, 0))[i % 2]:
            times[which].append(sides[which].ask(repeats=repeats)["seconds"])
    one.ratios.append(float(np.median(np.array(times[1]) / np.array(times[0]))))


@contextmanager
def exported(commit: str) -> Iterator[Path]:
    """A folder with the package of a commit; raises ValueError where there is no such commit."""
    command = ["git", "archive", commit, "refconv"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True)
    if done.returncode:
        raise ValueError(f"BASE is {commit!r}, but must be a commit that has refconv: {done.stderr.decode().strip()}")
    with tempfile.TemporaryDirectory() as folder, tarfile.open(fileobj=io.BytesIO(done.stdout)) as packed:
        packed.extractall(folder, filter="data")
        yield Path(folder)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.gate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="exit code: 0 not slower, 1 slower, 4 usage error, 5 nothing could be compared",
    )
    parser.add_argument("base", metavar="BASE", help="a commit, as main or HEAD~1")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all ratios to FILE")
    options = parser.parse_args(arguments)
    try:
        with exported(options.base) as folder:
            found = compare(folder, ROOT)
    except ValueError as error:
        print(f"gate: {error}", file=sys.stderr)
        return USAGE_ERROR
    slower = [one for one in found if one.slower]
    print(f"GATE: {len(slower)} of {len(found)} slower" if slower else f"GATE: none of {len(found)} slower")
    print("time of the change in units of the base's: median [98.8 % interval, where it was needed]")
    print("\n".join(map(str, found)))
    if options.json:
        rows = [{**vars(one), "slower": one.slower} for one in found]
        write(options.json, json.dumps({"base": options.base, "rows": rows}, indent=1) + "\n")
    if all(one.lacks for one in found):
        return 5
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
