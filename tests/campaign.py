"""Judges implementations that are correct, with seed after seed, and writes how many cases none of them failed.

python -m tests.campaign FOLDER [--profile thorough] [--seeds 5] [--target NAME] [--jobs 2] [--write]

A verdict that lies in FOLDER already, of the same revision, is not asked for again: what was interrupted goes on.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from refconv.adapters import ADAPTERS, USUAL
from refconv.options import PROFILES

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "CAMPAIGN.md"
TARGETS = [name for name in USUAL if ADAPTERS[name].installed]
PREFACE = """# Campaign

A referee that accuses the innocent is ignored. Here are all implementations of `refconv list` that are installed,
judged with several seeds; every case is another call, drawn anew. `python -m tests.campaign FOLDER --write` judges them
and puts a table of the revision into this page, in front of those of earlier ones. The right half of `tests/mutants` is
judged beside it, see SCORE.md.
"""


def revision() -> str:
    """The commit, marked where files differ from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def ask(target: str, seed: int, profile: str, folder: Path) -> Path:
    """The verdict on one target with one seed, as a file."""
    path = folder / f"{target}-{seed}.json"
    if not path.exists():
        command = [sys.executable, "-m", "refconv.cli", "check", target, "--profile", profile, "--seed", str(seed)]
        one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        done = subprocess.run(
            [*command, "--json", str(path)], cwd=ROOT, env={**os.environ, **one}, capture_output=True, text=True
        )
        print(f"{target:24} seed {seed}  {next(iter(done.stdout.splitlines()), done.stderr[-500:])}", flush=True)
    return path


def laws(paths: list[Path]) -> list[dict[str, Any]]:
    """Every law of every verdict, with its target."""
    found = []
    for path in paths:
        for verdict in json.loads(path.read_text())["verdicts"]:
            found += [{**law, "target": path.stem.rpartition("-")[0]} for law in verdict["laws"]]
    return found


def table(paths: list[Path], profile: str, seeds: int, measured: str) -> str:
    """A part of CAMPAIGN.md: accepted cases by target and dtype, and what was not as it must be."""
    every = laws(paths)
    dtypes = sorted({dtype for law in every for dtype in law["dtypes"]})
    drawn = f"seeds 1 to {seeds}" if seeds > 1 else "seed 1"
    out = [f"## Revision {measured}", "", f"Profile {profile}, {drawn}.", ""]
    out += ["| target | violations | not verified | cases | " + " | ".join(dtypes) + " |"]
    out += ["|---|---|---|---|" + "---|" * len(dtypes)]
    for target in [*dict.fromkeys(law["target"] for law in every), "all"]:
        mine = [law for law in every if target in (law["target"], "all")]
        counts: Counter[str] = Counter()
        for law in mine:
            counts.update(law["dtypes"])
        required = Counter(law["status"] for law in mine if law["required"])
        numbers = [required["violated"], required["unverified"], sum(law["accepted"] for law in mine)]
        cells = [f"{n:,}".replace(",", " ") for n in (*numbers, *(counts[dtype] for dtype in dtypes))]
        out.append(f"| {target} | " + " | ".join(cells) + " |")
    return "\n".join(out) + "\n"


def page(newest: str, before: str) -> str:
    """CAMPAIGN.md with a new table in front, in place of an older one of the same revision."""
    heading = newest.partition("\n")[0]
    parts = [part.rstrip() + "\n" for part in re.split(r"(?m)^(?=## )", before)[1:]]
    older = [part for part in parts if part.partition("\n")[0] != heading]
    return "\n".join([PREFACE, newest, *older]).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.campaign", description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where the verdicts are kept")
    parser.add_argument("--profile", choices=list(PROFILES), default="thorough")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--target", action="append", choices=TARGETS, help="judge this one only (repeatable)")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--write", action="store_true", help=f"put the table into {PAGE.name}")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    mark, now = options.folder / "revision", revision()
    if not mark.exists():
        mark.write_text(now)
    if (measured := mark.read_text()) != now:
        print(f"{options.folder} holds verdicts of revision {measured}, and this is {now}: these are counted alone")
    asked = [(t, seed) for seed in range(1, options.seeds + 1) for t in options.target or TARGETS]
    if measured == now:
        with ThreadPoolExecutor(options.jobs) as pool:
            list(pool.map(lambda pair: ask(*pair, options.profile, options.folder), asked))
    paths = [p for t, seed in asked if (p := options.folder / f"{t}-{seed}.json").exists()]
    text = table(paths, options.profile, options.seeds, measured)
    print(text)
    if options.write:
        PAGE.write_text(page(text, PAGE.read_text()))
    return 1 if any(law["required"] and law["status"] == "violated" for law in laws(paths)) else 0


if __name__ == "__main__":
    sys.exit(main())
