"""How often the gate is wrong: repeated on identical code, and with a slowdown planted in one algorithm.

python -m benchmarks.alarms FOLDER [--repetitions 200] [--write]

What lies in FOLDER already is not repeated: what was interrupted goes on. An idle machine needs about a quarter of a
minute for a repetition on identical code, and half a minute for one with a slowdown.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import sys
import tempfile
import time
from pathlib import Path

from scipy.stats import beta

from benchmarks.gate import MARGIN, PAIRS, ROOT, ROUNDS, compare
from benchmarks.side import WORK
from refconv.files import write

PAGE = ROOT / "ALARMS.md"
PLANTED = ("im2col", "0.2")
WATCHED = tuple(name for name, (*_, method) in WORK.items() if method == PLANTED[0])
PREFACE = f"""# Alarms

A benchmark that cries wolf is switched off. `python -m benchmarks.gate` was repeated on identical code (every alarm is
false) and with every convolution by `{PLANTED[0]}` made {float(PLANTED[1]):.0%} slower (a run without an alarm misses
it; only the work that names the algorithm is run, so no other work can help). `python -m benchmarks.alarms FOLDER
--write` repeats it and writes this page. An alarm is {PAIRS} pairs of processes, at most one of them below {MARGIN},
each the median of {ROUNDS} rounds. Intervals are those of Clopper and Pearson (1934), 95 %.
"""


def once(base: Path, planted: bool) -> dict:
    """One run of the gate: which works were alarms."""
    start = time.perf_counter()
    found = compare(base, ROOT, PLANTED, WATCHED) if planted else compare(base, ROOT)
    return {
        "planted": planted,
        "alarms": [one.work for one in found if one.slower],
        "ratios": {one.work: one.ratios for one in found},
        "seconds": time.perf_counter() - start,
        "load": os.getloadavg()[0],
    }


def interval(hits: int, of: int) -> tuple[float, float]:
    """Of a share, exact.

    >>> [round(end, 4) for end in interval(0, 200)]
    [0.0, 0.0183]
    """
    low = float(beta.ppf(0.025, hits, of - hits + 1)) if hits else 0.0
    high = float(beta.ppf(0.975, hits + 1, of - hits)) if hits < of else 1.0
    return low, high


def page(runs: list[dict]) -> str:
    """ALARMS.md: shares, what raised an alarm, and the machine."""
    out = [PREFACE, "| code | repetitions | alarms | share | interval | seconds each |", "|---|---|---|---|---|---|"]
    for planted, name in ((False, "identical"), (True, f"{PLANTED[0]} {float(PLANTED[1]):.0%} slower")):
        mine = [run for run in runs if run["planted"] == planted]
        if mine:
            hits = sum(bool(run["alarms"]) for run in mine)
            low, high = interval(hits, len(mine))
            seconds = sorted(run["seconds"] for run in mine)[len(mine) // 2]
            out.append(
                f"| {name} | {len(mine)} | {hits} | {hits / len(mine):.1%} | {low:.1%} to {high:.1%} | {seconds:.0f} |"
            )
    loads = sorted(run["load"] for run in runs)
    machine = (
        f"{os.cpu_count()} processors ({platform.machine()}), {platform.system()}, Python {platform.python_version()}"
    )
    out += ["", f"On {machine}; load from {loads[0]:.1f} to {loads[-1]:.1f}, median {loads[len(loads) // 2]:.1f}."]
    if false := [work for run in runs if not run["planted"] for work in run["alarms"]]:
        out.append(f"False alarms: {', '.join(false)}.")
    return "\n".join(out) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.alarms", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where each repetition is kept")
    parser.add_argument("--repetitions", type=int, default=200, help="of either kind (default: 200)")
    parser.add_argument("--write", action="store_true", help=f"put the shares into {PAGE.name}")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    paths = [options.folder / f"{kind}-{i}.json" for i in range(options.repetitions) for kind in ("same", "planted")]
    with tempfile.TemporaryDirectory() as base:
        shutil.copytree(ROOT / "refconv", Path(base, "refconv"), ignore=shutil.ignore_patterns("__pycache__"))
        for done, path in enumerate(paths, 1):
            if not path.exists():
                run = once(Path(base), path.name.startswith("planted"))
                write(path, json.dumps(run) + "\n")
                print(f"{done}/{len(paths)} {path.stem}: {run['alarms'] or 'no alarm'}", flush=True)
    text = page([json.loads(path.read_text()) for path in paths])
    print(text)
    if options.write:
        write(PAGE, text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
