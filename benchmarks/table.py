"""The figures that refconv is held to: how many times as fast as PyTorch and as others, on every workload.

python -m benchmarks.table FOLDER [--threads 1 --threads 2] [--layer NAME] [--write]

Each workload's contenders are interleaved in one process, medians of 11 rounds. Others than PyTorch are measured with
one thread, on forward calls with batch 1; one that takes more than three times as long as ours is called once and not
again, three seconds at most. Every contender's result is judged first. What lies in FOLDER already is not measured
again: what was interrupted goes on. All of it takes half an hour on two idle processors. `--write` puts the
tables into BENCHMARKS.md.
"""

from __future__ import annotations

import argparse
import functools
import json
import math
import os
import platform
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import refconv
from benchmarks.others import NEEDS, OTHERS, Operands
from benchmarks.where import lines
from refconv import judge
from refconv.algorithms import ALGORITHMS
from refconv.bench import pinned
from refconv.claims import Claims
from refconv.excerpt import excerpts
from refconv.files import write
from refconv.judge import Violation
from refconv.spec import OPERATIONS, Case
from refconv.timing import ROUNDS, interleaved, ratio
from refconv.workloads import LAYERS, Workload, choose, workloads

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "BENCHMARKS.md"
THREADS = (1, 2)
HEAVY = 1e9  # multiply-adds of one image beyond which float64 is measured forward with batch 1 only
FEW = ("large",)  # groups that PyTorch takes seconds for: batch 1 only
GRADIENTS = ("dense", "depthwise", "dilated", "grouped")  # groups whose gradients are measured, with batch 1
SLOW = 3  # times our time: called once
PATIENCE = 3.0  # seconds after which a first call is interrupted
SETTLE = 0.03  # seconds, with several threads, that each is called untimed: until those of the one before have stopped
TRIES = 5  # calls of each of our algorithms, of which the shortest tells which takes the least time
TRIED = 0.1  # seconds: a first call that takes longer tells enough of how long an algorithm takes
CLAIMS = {"scipy.signal": Claims(algorithm="fft")}  # it chooses between sums and transforms; others sum
PARTS = ("forward", "weight", "input", "backward")
WHERE = """Of each workload that PyTorch is faster on, the lines that most of our time goes into (the round of 5 that \
took the least; a watched line takes about a microsecond longer, so that in the smallest layers many short lines stand \
behind these)."""

# Rows of the first table, with what they must reach.
GOALS: list[tuple[str, Callable[[dict], bool], float]] = [
    ("float32 forward, all but large kernels", lambda r: _is(r, "forward", "float32") and _conv(r), 1.1),
    ("float32 forward, dense layers", lambda r: _is(r, "forward", "float32") and r["group"] == "dense", 1.25),
    ("float64 forward, all but large kernels", lambda r: _is(r, "forward", "float64") and _conv(r), 1.45),
    ("weight gradient", lambda r: r["part"] == "weight", 1.3),
    ("input gradient", lambda r: r["part"] == "input", 1.05),
    ("max pooling, forward", lambda r: r["part"] == "forward" and r["group"] == "max-pool", 4.0),
    ("average pooling, forward", lambda r: r["part"] == "forward" and r["group"] == "avg-pool", 2.0),
    ("large kernels, forward", lambda r: r["part"] == "forward" and r["group"] == "large", 10.0),
    ("pooling gradients", lambda r: r["part"] == "backward" and r["group"].endswith("pool"), 0.0),
]
LEAST = 0.75  # of any dense workload


def _is(row: dict, part: str, dtype: str) -> bool:
    return row["part"] == part and row["dtype"] == dtype


def _conv(row: dict) -> bool:
    return row["group"] not in ("large", "max-pool", "avg-pool")


# ------------------------------------------------------------------------------------------------- what is measured


def plan(names: tuple[str, ...] = ()) -> Iterator[tuple[Workload, str]]:
    """Every workload with the parts of it that are measured."""
    for w in workloads(choose(names)):
        images = w.shapes["input"][0]
        first, heavy = images == 1, w.dtype == "float64" and w.multiply_adds > images * HEAVY
        if first or not (heavy or w.group in FEW):
            yield w, "forward"
        if w.group.endswith("pool"):
            yield w, "backward"
        elif first and not heavy and w.group in GRADIENTS:
            yield w, "weight"
            yield w, "input"


def _best(call: Callable[..., Any]) -> Callable[[], Any]:
    """By the method that takes the least time, where there is one of that name for the operation."""
    try:
        call(method="fastest")
    except ValueError:
        return call
    return lambda: call(method="fastest")


def _ours(workload: Workload, part: str, operands: Operands) -> list[tuple[str, Callable[[], Any]]]:
    """Ways to compute it, each with its name: the public function, or each algorithm for one gradient alone."""
    if part in ("forward", "backward"):
        function = getattr(refconv, workload.operation)
        return [("", _best(lambda **how: function(*operands.values(), **workload.arguments, **how)))]
    case = Case(OPERATIONS[workload.operation], operands, workload.arguments, workload.dtype)
    g, x, w = operands.values()
    sizes = x.shape[2:], w.shape[2:]
    out = []
    for name, row in ALGORITHMS.items():
        if name == "toeplitz" or row.refuses(workload.operation, case.conv, *sizes, np.dtype(workload.dtype)):
            continue
        if part == "input":
            out.append((name, lambda row=row: row.input_grad(g, w, case.conv, sizes[0])))
        elif row.weight_grad is not None:
            out.append((name, lambda row=row: row.weight_grad(g, x, case.conv, sizes[1])))
    return out


def _torch_gradient(workload: Workload, part: str, operands: Operands) -> Callable[[], Any]:
    """One gradient of a convolution alone, or the backward pass of a pooling."""
    import torch

    tensors = [torch.from_numpy(a) for a in operands.values()]
    rank = len(workload.shapes["input"]) - 2
    if part == "backward":
        function = getattr(torch.nn.functional, workload.operation.removesuffix("_backward"))
        x = tensors[1].requires_grad_()
        y = function(x, **workload.arguments)
        return lambda: torch.autograd.grad(y, x, tensors[0], retain_graph=True)[0]
    a = workload.arguments
    each = [(a.get(name, default),) * rank for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))]
    mask = [part == "input", part == "weight", False]
    return lambda: torch.ops.aten.convolution_backward(
        *tensors, None, *each, False, (0,) * rank, a.get("groups", 1), mask
    )[mask.index(True)]


def measure(workload: Workload, part: str, threads: int = 1, rounds: int = ROUNDS) -> dict[str, Any]:
    """Seconds of all contenders; those that cannot do the workload, or not rightly, with the reason."""
    workload = workload if part == "forward" else workload.backward()
    operands, calls, seconds, reasons = workload.operands(1), {}, {}, {}
    ways: dict[str, tuple[float, Callable[[], Any]]] = {}
    for name, call in _ours(workload, part, operands):
        try:
            once, result = _within(PATIENCE, call)
            if result is not None:
                ways[name] = (min(_first(call) for _ in range(TRIES)) if once < TRIED else once, call)
        except NotImplementedError:
            continue  # only known once the channels are
    way = min(ways, key=lambda name: ways[name][0])
    ours = ways[way][0]
    calls["refconv"] = ways[way][1]
    _verify(workload, part, operands, calls["refconv"](), _claims(workload, part, way))
    for name, build in OTHERS.items():
        if find_spec(NEEDS[name]) is None:
            continue
        if name != "torch" and (threads > 1 or workload.shapes["input"][0] > 1):
            continue
        try:
            if part == "forward":
                call = build(workload, operands)
            elif name == "torch":
                call = _torch_gradient(workload, part, operands)
            else:
                continue
            once, result = _within(PATIENCE, call)
            if result is not None:
                _verify(workload, part, operands, np.asarray(result), CLAIMS.get(name, Claims()))
                if once < PATIENCE:
                    once = _first(call)  # the first one compiles
        except (NotImplementedError, Violation) as error:
            reasons[name] = f"{type(error).__name__}: {error}".partition("\n")[0][:120]
            continue
        if name != "torch" and once > SLOW * ours:
            seconds[name] = [once]
        else:
            calls[name] = call
    settle = SETTLE if threads > 1 else 0.0
    seconds |= {name: list(times) for name, times in interleaved(calls, rounds, settle).items()}
    slower = "torch" in seconds and ratio(seconds["torch"], seconds["refconv"]).median < 1
    return {
        "layer": workload.layer,
        "group": workload.group,
        "part": part,
        "batch": workload.shapes["input"][0],
        "dtype": workload.dtype,
        "threads": threads,
        "revision": _revision(),
        "method": way,
        "seconds": seconds,
        "reasons": reasons,
        "lines": lines(calls["refconv"]) if slower else [],
    }


def _within(seconds: float, call: Callable[[], Any]) -> tuple[float, Any]:
    """How long a call takes, and its result; none where it was interrupted after so many seconds."""

    def stop(number: int, frame: Any) -> None:
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    start = time.perf_counter()
    try:
        result = call()
    except TimeoutError:
        result = None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    return time.perf_counter() - start, result


def _first(call: Callable[[], Any]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _claims(workload: Workload, part: str, way: str) -> Claims:
    """Of the algorithm that was timed; where the public function chose one, of the adapter that knows which."""
    from refconv.adapters import ADAPTERS

    name = f"refconv-{way or 'fastest'}"
    subject = ADAPTERS[name if name in ADAPTERS else "refconv"]()
    arrays = {n: np.broadcast_to(np.zeros((), workload.dtype), shape) for n, shape in workload.shapes.items()}
    return subject.claims_for(Case(OPERATIONS[workload.operation], arrays, workload.arguments, workload.dtype))


def _verify(workload: Workload, part: str, operands: Operands, result: Any, claims: Claims) -> None:
    """Some excerpts of the result within what its class allows; raises Violation."""
    case = Case(OPERATIONS[workload.operation], operands, workload.arguments, workload.dtype)
    name = {"weight": "grad_weight", "input": "grad_input"}.get(part, case.operation.results[0])
    array = np.asarray(result)
    if array.shape != case.shapes[name]:
        raise Violation(f"`{name}` has shape {array.shape}, but must have {case.shapes[name]}")
    for part_of in excerpts(case, np.random.default_rng(), box=claims.algorithm == "direct"):
        if name in part_of.places:
            judge.within({name: array[part_of.places[name]]}, part_of.case, claims)


# ------------------------------------------------------------------------------------------------------ the page


def speed(row: dict, other: str) -> float | None:
    """How many times as fast as another we are; None where it was not measured."""
    times = row["seconds"].get(other)
    if times is None:
        return None
    if len(times) == 1:
        return times[0] / float(np.median(row["seconds"]["refconv"]))
    return ratio(times, row["seconds"]["refconv"]).median


def mean(values: list[float]) -> float:
    """Geometric.

    >>> mean([2.0, 8.0])
    4.0
    """
    return math.exp(sum(map(math.log, values)) / len(values))


def page(rows: list[dict], machine: str) -> str:
    """BENCHMARKS.md: means against the goals, means against the others, every workload."""
    out = [
        "# Benchmarks",
        "",
        f"How many times as fast as others refconv is: medians of the ratios of {ROUNDS} rounds, interleaved in one "
        f"process (with several threads each after {SETTLE} s of its own calls untimed), filter transforms counted. "
        "`python -m benchmarks.table FOLDER --write` measures them and writes this page; `docs/benchmarks.md` has the "
        "rest.",
        "",
        f"Revision {', '.join(_all(rows, 'revision'))}; {machine}",
        "",
        "## Beside PyTorch, geometric means",
        "",
        "| what | goal | " + " | ".join(_threads(n) for n in _all(rows, "threads")) + " | of |",
        "|---|---|" + "---|" * (len(_all(rows, "threads")) + 1),
    ]
    for name, chosen, goal in GOALS:
        mine = [row for row in rows if chosen(row) and speed(row, "torch") is not None]
        if not mine:
            continue
        cells, counts = [], []
        for threads in _all(rows, "threads"):
            found = [speed(row, "torch") for row in mine if row["threads"] == threads]
            counts.append(len(found))
            cells.append(f"{mean(found):.2f}" if found else "-")
        out.append(f"| {name} | {goal or '-'} | {' | '.join(cells)} | {max(counts)} |")
    dense = [row for row in rows if row["group"] == "dense" and row["part"] == "forward" and speed(row, "torch")]
    for threads in _all(dense, "threads"):
        speeds = [speed(row, "torch") for row in dense if row["threads"] == threads]
        below = sum(found < LEAST for found in speeds)
        out += ["", f"Dense workloads, forward, below {LEAST} with {_threads(threads)}: {below} of {len(speeds)}."]
    out += ["", "## Beside others, forward with batch 1", "", "| other | workloads | geometric mean | slowest |"]
    out.append("|---|---|---|---|")
    for other in OTHERS:
        found = {f"{r['layer']} {r['dtype']}": s for r in rows if r["batch"] == 1 and (s := speed(r, other))}
        if other != "torch" and found:
            worst = min(found, key=found.__getitem__)
            out.append(f"| {other} | {len(found)} | {mean(list(found.values())):.2f} | {found[worst]:.2f} {worst} |")
    out += [
        "",
        "## Every workload",
        "",
        "`~`: called once only, since it takes more than three times as long; stopped after three seconds.",
        "",
    ]
    shown = [other for other in OTHERS if any(other in row["seconds"] for row in rows)]
    out.append("| workload | batch | part | dtype | threads | ms | " + " | ".join(shown) + " |")
    out.append("|---|---|---|---|---|---|" + "---|" * len(shown))
    for row in rows:
        cells = _about(row)
        cells.append(f"{1e3 * np.median(row['seconds']['refconv']):.3f}")
        for other in shown:
            value = speed(row, other)
            once = len(row["seconds"].get(other, ())) == 1
            cells.append("" if value is None else "~" * once + f"{value:.2f}")
        out.append("| " + " | ".join(map(str, cells)) + " |")
    out += ["", "## Where the time goes", "", WHERE, ""]
    out += ["| workload | batch | part | dtype | threads | torch | lines of refconv, with what they call in NumPy |"]
    out.append("|---|---|---|---|---|---|---|")
    for row in rows:
        if row["lines"]:
            said = "<br>".join(f"{share:.0%} {place}: `{text}`" for share, place, text in row["lines"])
            cells = [*_about(row), f"{speed(row, 'torch'):.2f}", said.replace("|", "\\|")]
            out.append("| " + " | ".join(map(str, cells)) + " |")
    reasons = sorted({f"{other}: {reason}" for row in rows for other, reason in row["reasons"].items()})
    out += ["", "## Not measured", ""] + [f"- {reason}" for reason in reasons]
    return "\n".join(out) + "\n"


def _about(row: dict) -> list[Any]:
    part = row["part"] + f" ({row['method']})" * bool(row["method"])
    return [row["layer"], row["batch"], part, row["dtype"], row["threads"]]


def _threads(n: int) -> str:
    return f"{n} thread" + "s" * (n > 1)


def _all(rows: list[dict], name: str) -> list[Any]:
    return sorted({row[name] for row in rows})


def machine() -> str:
    """Processor, system and versions, as the page states them."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    wide = "AVX-512" if any(" avx512f" in line for line in lines) else "no AVX-512"
    versions = [
        f"{name} {metadata.version(name)}" for name in ("numpy", *dict.fromkeys(NEEDS.values())) if find_spec(name)
    ]
    return (
        f"{models[0] if models else platform.machine()} ({wide}), {os.cpu_count()} processors, {platform.system()}; "
        f"Python {platform.python_version()}, {', '.join(versions)}."
    )


@functools.cache
def _revision() -> str:
    """The commit that is measured, as a row keeps it: a table may be gone on with after a change."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


# --------------------------------------------------------------------------------------------------- the command


def _file(folder: Path, workload: Workload, part: str, threads: int) -> Path:
    return folder / f"{workload.name.replace('/', ' ')} {part} {threads}.json"


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.table", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="where each measurement is kept")
    parser.add_argument("--threads", type=int, action="append", help=f"(repeatable; default: {THREADS})")
    parser.add_argument("--layer", action="append", default=[], metavar="NAME", help="a layer or a group (repeatable)")
    parser.add_argument("--write", action="store_true", help=f"put the tables into {PAGE.name}")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)  # in a process whose threads are pinned
    options = parser.parse_args()
    todo = list(plan(tuple(options.layer)))
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.measure:
        return _measure(options.folder, todo, options.measure)
    for threads in options.threads or THREADS:
        layers = [part for name in options.layer for part in ("--layer", name)]
        command = [sys.executable, "-m", "benchmarks.table", str(options.folder), "--measure", str(threads), *layers]
        with pinned(threads):
            if code := subprocess.run(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}).returncode:
                return code
    rows = [json.loads(path.read_text()) for path in options.folder.glob("*.json")]
    order = list(LAYERS)
    rows.sort(key=lambda r: (order.index(r["layer"]), PARTS.index(r["part"]), r["batch"], r["dtype"], r["threads"]))
    text = page(rows, machine())
    print(text.partition("\n## Every")[0])
    if options.write:
        write(PAGE, text)
    return 0


def _measure(folder: Path, todo: list[tuple[Workload, str]], threads: int) -> int:
    started = time.perf_counter()
    for done, (workload, part) in enumerate(todo, 1):
        path = _file(folder, workload, part, threads)
        if not path.exists():
            write(path, json.dumps(measure(workload, part, threads)) + "\n")
            passed = time.perf_counter() - started
            print(f"{done}/{len(todo)} {passed:5.0f} s  {path.stem}", file=sys.stderr, flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
