"""Times a subject beside our reference and PyTorch, on calls whose every timed result is judged.

A round gives each contender the same new operands, in the memory of those before, one after the other, each in a
process of its own. What is timed is verified: a first call, and the very result of each timed call after its clock has
stopped, on excerpts drawn then. A fraction f of elements that was not computed is missed by c calls of e excerpts with
probability (1 - f)^(c e): with 12 calls of 4, a tenth left out is missed once in 150 runs, a third once in 10^8.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv import judge
from refconv.adapters import ADAPTERS
from refconv.claims import parse_winograd
from refconv.dtypes import Array, numpy_dtype
from refconv.excerpt import excerpts
from refconv.isolation import Isolated, Limits, Timed, isolated
from refconv.judge import Violation
from refconv.peak import Peak
from refconv.spec import OPERATIONS, Case
from refconv.subject import Call, Declined, Failure, Subject
from refconv.timing import ROUNDS, Ratio, Times, ratio
from refconv.workloads import Workload

__all__ = ["EXIT_CODES", "Bench", "Row", "bench", "pinned", "rivals"]

EXCERPTS = 4  # of each result, of every call
# A product reaches at least 80 % of what the processor can do: 90 % and more [Goto & van de Geijn 2008, section 7].
REACHED = 0.8
BEST = "refconv-fastest"  # of our references
SPINNING = {"OPENBLAS_THREAD_TIMEOUT": "22"}  # 2^22 cycles, a few milliseconds; by itself 2^26
EXIT_CODES = {"timed": 0, "refused": 1, "nothing": 5}


@dataclass
class Row:
    """One workload: seconds of each contender in each round, or why there are none.

    `status` is timed, declined, wrong (or failed, or caught cheating) or impossible.
    """

    workload: Workload
    status: str = "timed"
    reason: str = ""
    seconds: dict[str, Times] = field(default_factory=dict)
    ratios: dict[str, Ratio] = field(default_factory=dict)  # the subject's speed in units of each rival's
    absent: dict[str, str] = field(default_factory=dict)  # rivals that were not timed, and why
    flops: float = 0.0  # that the claimed algorithm cannot do without
    bytes: int = 0  # that any algorithm must move
    share: float = 0.0  # of the roofline
    floor: float = 0.0  # seconds below which no call can be

    @property
    def median(self) -> float:
        return float(np.median(self.seconds["subject"]))


@dataclass
class Bench:
    """All rows of a subject, and what they are held against."""

    subject: Subject
    rows: list[Row]
    peak: Peak
    threads: int
    rounds: int
    rivals: tuple[str, ...]
    clocks: str = ""  # of a device, before and after

    def count(self, *status: str) -> int:
        return sum(row.status in status for row in self.rows)

    @property
    def status(self) -> str:
        """refused where anything was, nothing where nothing was timed."""
        if self.count("wrong", "impossible"):
            return "refused"
        return "timed" if self.count("timed") else "nothing"


@contextmanager
def pinned(threads: int) -> Iterator[None]:
    """Processes started inside have so many threads, on as many processors where the system can say so.

    Between two products OpenBLAS's threads spin for as long as OpenMP's, not a tenth of a second, which they would take
    from whoever is timed next. Raises ValueError where there are fewer processors.
    """
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    variables = dict.fromkeys(names, str(threads)) | SPINNING
    before = {name: os.environ.get(name) for name in variables}
    processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set(range(os.cpu_count() or 1))
    if not 1 <= threads <= len(processors):
        raise ValueError(f"--threads is {threads}, but must be from 1 to {len(processors)}, the processors there are")
    os.environ.update(variables)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(processors)[-threads:])
    try:
        yield
    finally:
        if hasattr(os, "sched_setaffinity"):
            os.sched_setaffinity(0, processors)
        for name, value in before.items():
            os.environ.pop(name)
            if value is not None:
                os.environ[name] = value


def rivals(subject: Subject, limits: Limits) -> dict[str, Subject]:
    """What the subject is timed beside: our fastest reference, and PyTorch where it is installed, on the subject's
    device."""
    own = replace(isolated([BEST], limits, named=True)[0], claim_for=ADAPTERS[BEST]().claim_for)
    out: dict[str, Subject] = {"refconv": own}
    if ADAPTERS["torch"].installed:
        out["torch"] = replace(isolated(["torch"], limits, named=True)[0], device=subject.device)
    return out


def bench(
    subject: Subject,
    others: Mapping[str, Subject],
    workloads: Sequence[Workload],
    peaks: Callable[[], Peak],
    *,
    threads: int = 1,
    rounds: int = ROUNDS,
    progress: Callable[[Workload], None] = lambda workload: None,
) -> Bench:
    """Time a subject in a process of its own on every workload, the machine's peak before and after."""
    before, clocks = peaks(), _clocks(subject.device)
    rows = []
    for workload in workloads:
        progress(workload)
        rows.append(_row(subject, others, workload, rounds))
    found = Bench(subject, rows, before.best(peaks()), threads, rounds, tuple(others))
    found.clocks = clocks and f"{clocks}; {_clocks(subject.device)}"
    for row in rows:
        if row.status == "timed":
            _hold_against_the_roof(row, found.peak)
    return found


def _clocks(device: str) -> str:
    """Clocks, temperature and power state of the GPUs, as nvidia-smi says; empty on the CPU."""
    if device == "cpu":
        return ""
    fields = "--query-gpu=clocks.sm,clocks.mem,temperature.gpu,pstate"
    try:
        done = subprocess.run(["nvidia-smi", fields, "--format=csv,noheader"], capture_output=True, text=True)
    except OSError:
        return "unknown: there is no nvidia-smi"
    return " | ".join(done.stdout.split("\n")).strip(" |")


# ------------------------------------------------------------------------------------------------ one workload


def _row(subject: Subject, others: Mapping[str, Subject], workload: Workload, rounds: int) -> Row:
    row = Row(workload)
    contenders: dict[str, _Contender] = {}
    first = _case(workload)
    for name, one in {"subject": subject, **others}.items():
        try:
            contenders[name] = _Contender(one, first)
        except (Declined, Failure, Violation) as error:
            status = "declined" if isinstance(error, Declined) else "wrong"
            if name == "subject":
                row.status, row.reason = status, str(error)
                return row
            row.absent[name] = f"{status}: {error}".partition("\n")[0]
    names = list(contenders)
    for i in range(rounds):
        case = _case(workload)
        for name in names[i % len(names) :] + names[: i % len(names)]:
            try:
                contenders[name].time(case)
            except (Declined, Failure, Violation) as error:
                if name == "subject":
                    row.status, row.reason = "wrong", f"round {i + 1}: {error}"
                    return row
                row.absent[name] = f"wrong: {error}".partition("\n")[0]
        names = [name for name in names if name not in row.absent]
    if lie := contenders["subject"].lie([c for name, c in contenders.items() if name in names and name != "subject"]):
        row.status, row.reason = "wrong", lie
        return row
    row.seconds = {name: np.array(contenders[name].seconds) for name in names}
    row.ratios = {name: ratio(row.seconds[name], row.seconds["subject"]) for name in names if name != "subject"}
    row.flops, row.bytes = _flops(first, subject.claims_for(first).algorithm), _bytes(first)
    return row


def _case(workload: Workload) -> Case:
    """New operands from the system's entropy."""
    operands = workload.operands(int.from_bytes(os.urandom(8)))
    return Case(OPERATIONS[workload.operation], operands, workload.arguments, workload.dtype)


class _Contender:
    """One implementation on one workload, in a process of its own: verified first, then timed again and again."""

    def __init__(self, subject: Subject, case: Case) -> None:
        if not isinstance(subject, Isolated):
            raise TypeError(f"subject {subject.name!r} is in this process: only one in its own can be timed")
        if case.operation not in subject.operations:
            raise Declined(f"has no {case.operation.name}")
        self.subject, self.seconds, self.beside = subject, list[float](), list[float]()
        self.memory: Call = subject.call(case, keep=True)
        _verify(subject, case, self.memory.results, self.memory.handed)

    def time(self, case: Case) -> None:
        found: Timed = self.subject.timed(case, self.memory)
        _verify(self.subject, case, found.results, found.handed)
        self.seconds.append(found.seconds)
        self.beside.append(found.passed - found.seconds)

    def lie(self, others: Sequence[_Contender]) -> str:
        """What its process took beside the call it timed: the same for all, unless a clock was tampered with.

        Said only where even its shortest is longer than the longest of the others by more than the call itself.
        """
        longest = max((max(other.beside) for other in others), default=np.inf)
        if min(self.beside) - longest <= max(self.seconds):
            return ""
        return (
            f"its clock says {np.median(self.seconds):.3g} seconds, but its process took {np.median(self.beside):.3g} "
            f"more, where another's took {longest:.3g} more at most"
        )


def _verify(subject: Subject, case: Case, results: Mapping[str, Array], handed: Mapping[str, Array]) -> None:
    """Form, operands as they were, and each element of some excerpts within what the claimed class allows."""
    judge.form(results, case)
    judge.untouched(handed, case)
    claims, rng = subject.claims_for(case), np.random.default_rng()
    for _ in range(EXCERPTS):
        for part in excerpts(case, rng, box=claims.algorithm == "direct"):
            judge.within(part.of(results), part.case, claims)


# ------------------------------------------------------------------------------------------------ the roofline


def _hold_against_the_roof(row: Row, peak: Peak) -> None:
    """Share of the ceiling; a median below what the processor can do at all is refused."""
    product = peak.product.get(row.workload.dtype, np.inf)
    by_product, by_memory = row.flops / product, row.bytes / peak.bandwidth(row.bytes)
    roof = max(by_product, by_memory)
    row.share, row.floor = roof / row.median, REACHED * roof
    if row.median < row.floor:
        what = "multiplies" if by_product > by_memory else "moves memory"
        row.status = "impossible"
        row.reason = (
            f"takes {row.median:.3g} seconds, but at its measured peak this machine {what} for {roof:.3g}: the work is "
            "not all done in that time, or by an algorithm that --algorithm should name"
        )


def _flops(case: Case, algorithm: str) -> float:
    """Two for each product that an algorithm of the claimed class cannot do without; padding needs none.

    F(m, r) needs m + r - 1 products for m outputs of r taps, along each axis [Winograd 1980]. Nothing is known of
    transforms, nor of poolings: there memory alone is the roof.
    """
    kind = case.operation.kind
    if kind not in ("conv", "conv_transpose", "conv_backward") or algorithm == "fft":
        return 0.0
    x, w = case.operands["input"].shape, case.operands["weight"].shape
    size = case.shapes["output"][2:] if kind == "conv_transpose" else x[2:]
    products = x[0] * prod(w[:2]) * prod(_taps(case, axis, n) for axis, n in enumerate(size))
    share = 1.0
    if algorithm.startswith("winograd"):
        m, r = parse_winograd(algorithm)
        each = [(a + b - 1) / (a * b) for a, b in zip(m, r, strict=True)]
        share = float(np.prod(each * (len(size) if len(m) == 1 else 1)))
    return 2.0 * share * float(products) * (2 if kind == "conv_backward" else 1)


def _places(case: Case, axis: int, n: int) -> NDArray[np.int64]:
    """Which cell of an axis of n cells each tap (row) of each window (column) reads; outside of it lies padding."""
    if "pool" in case.operation.kind:
        spec: Any = case.pool
        kernel, windows = spec.kernel_size[axis], spec.output_size(case.operands["input"].shape[2:])[axis]
    else:
        spec, kernel = case.conv, case.operands["weight"].shape[2 + axis]
        windows = (n + sum(spec.padding[axis]) - spec.dilation[axis] * (kernel - 1) - 1) // spec.stride[axis] + 1
    start = np.arange(windows) * spec.stride[axis] - spec.padding[axis][0]
    return np.asarray(np.arange(kernel)[:, None] * spec.dilation[axis] + start)


def _taps(case: Case, axis: int, n: int) -> int:
    """Pairs of window and tap that read a cell rather than padding."""
    places = _places(case, axis, n)
    return int(((places >= 0) & (places < n)).sum())


def _bytes(case: Case) -> int:
    """Every result once, every operand once; of a forward pass's input only the cells that some window reads."""
    kind = case.operation.kind
    width = numpy_dtype(case.dtype).itemsize
    sizes = {name: a.size for name, a in case.operands.items()}
    if kind in ("conv", "max_pool", "avg_pool"):
        x = case.operands["input"].shape
        read = 1
        for axis, n in enumerate(x[2:]):
            places = np.unique(_places(case, axis, n))
            read *= int(((places >= 0) & (places < n)).sum())
        sizes["input"] = prod(x[:2]) * read
    elif kind == "avg_pool_backward":
        del sizes["input"]  # whose values do not matter
    return width * (sum(sizes.values()) + sum(prod(shape) for shape in case.shapes.values()))
