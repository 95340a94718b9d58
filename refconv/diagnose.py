"""Says in words what is wrong after a violation: every hypothesis is confirmed on further calls before it is named.

A fault is a row: its kind, words, and how the call or its true value changes under it. It is named only if every
wrong result met (the failing call, the same call on fresh data, other calls of the operation) is one that a kernel
with this fault can give, by the bound of the changed call. What nothing explains is `unknown`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import combinations, permutations, product
from math import prod
from typing import Any

import numpy as np
from hypothesis import strategies as st

from refconv import bound, draws, exact, families, judge, strategies
from refconv.claims import Claims
from refconv.draws import Drawn
from refconv.dtypes import FORMATS, Array, Float64Array, Format, format_of
from refconv.exact import Form
from refconv.judge import Violation
from refconv.law import Judged
from refconv.spec import Case, ConvSpec, PoolSpec, Sizes, conv_spec, transposed_spec
from refconv.subject import Call, Declined, Failure

__all__ = ["KINDS", "Diagnosis", "diagnose"]

ENOUGH = 3  # wrong calls that a hypothesis must explain, the failing one included
MOST = 12  # wrong calls that a hypothesis has to explain, the failing ones included
SMALL = 6_000  # operand elements of a call that is tried in many ways
LARGE = 50_000  # operand elements above which a call is tried on fewer data
PATIENCE = 5.0  # seconds after which no more hypotheses are tried

# What can be named, in the order of preference where two explain the same.
KINDS: dict[str, str] = {
    "crash": "the call ends the process",
    "hang": "the call does not return in time",
    "writes outside": "memory beside an operand is written",
    "mutated operand": "the call changes an operand of its caller",
    "shared memory": "a result lies in memory that belongs to an operand or to an earlier result",
    "stale result": "the result depends on earlier calls",
    "global state": "the call changes state of the process",
    "wrong dtype or type": "the result is of another dtype or no array",
    "raises": "the call raises where it must give a result",
    "accepts an impossible call": "operands or arguments that do not fit give a result",
    "memory layout ignored": "an operand's memory is taken for C order",
    "reads outside": "memory beside an operand is read",
    "NaN handling": "a NaN is lost, or made where none belongs",
    "constant result": "the result does not depend on the operands",
    "sign": "negative results are cut off or lose their sign",
    "ignored argument": "an argument, or part of it, has no effect",
    "wrong axis": "an argument or a size is taken from another axis",
    "flipped kernel": "the kernel is read backwards",
    "transposed kernel": "two axes of the kernel are exchanged",
    "conjugation": "the complex conjugate is left out or taken where it must not be",
    "dropped tap": "a product, tap, row or column of the kernel is left out",
    "doubled tap": "a product or tap counts twice",
    "swapped taps": "two taps are exchanged",
    "group mix-up": "a group reads, or writes to, the channels of another",
    "channel mix-up": "channels are lost, exchanged or repeated",
    "batch mix-up": "images are lost, exchanged or mixed",
    "bias": "the bias is missing, counted more than once, or added in the wrong place",
    "pooling rule": "padding value, starting value, counts, or what a tie or ceil mode means",
    "gradient scale or routing": "a gradient is scaled, exchanged or sent to the wrong element",
    "overwrites": "what overlaps is written over instead of added",
    "border or halo": "at the border something else than zero is read, or not everything is",
    "shifted": "everything is read or written some places beside",
    "output size rule": "the result has another size than the rule gives",
    "flush to zero": "small numbers are taken for zero",
    "unwritten part": "part of the result is left at zero",
    "low-precision inputs": "operands are rounded to a narrower format",
    "low-precision output": "the result is rounded to a narrower format",
    "low-precision accumulator": "sums are carried in a narrower format",
    "overflow": "large results become infinite",
    "transform": "the result has the rounding errors of a transform algorithm that is not claimed",
    "unknown": "no hypothesis explains every wrong result",
}


@dataclass(frozen=True)
class Diagnosis:
    """What is wrong: one of KINDS, in words, and what it rests on."""

    kind: str
    words: str
    evidence: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.words}" + (f" ({self.evidence})" if self.evidence else "")


def diagnose(violation: Violation, judged: Judged) -> Diagnosis:
    """The kind of fault behind a violation. Never raises: what the subject does while it is probed is an answer too.

    The call that was found first is explained before the smallest, where more hypotheses give the same.
    """
    try:
        with _silence():
            return _contract(violation, judged) or _explained(violation, judged)
    except Exception as error:
        return Diagnosis("unknown", f"probing ended with {type(error).__name__}: {str(error)[:120]}")


def _explained(violation: Violation, judged: Judged) -> Diagnosis:
    assert violation.case is not None
    first, smallest = violation.found or violation.case, violation.case
    if first.same(smallest):
        return _values(first, [], violation, judged)
    said = _values(first, [smallest], violation, judged)
    return said if said.kind != "unknown" else _values(smallest, [first], violation, judged)


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """What the subject prints while it is probed is no part of a report, on whatever level it prints."""
    sys.stdout.flush(), sys.stderr.flush()
    kept = {fd: os.dup(fd) for fd in (1, 2)}
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        for fd in kept:
            os.dup2(nowhere, fd)
        with io.StringIO() as silent, contextlib.redirect_stdout(silent), contextlib.redirect_stderr(silent):
            yield
    finally:
        for fd, copy in kept.items():
            os.dup2(copy, fd)
            os.close(copy)
        os.close(nowhere)


# ---------------------------------------------------------------------------------- what the reason says

# A law's reason that is a diagnosis already.
_REASONS: tuple[tuple[str, str], ...] = (
    (r"^ended its process|^cannot be loaded again", "crash"),
    (r"^took longer than", "hang"),
    (r"^wrote outside of", "writes outside"),
    (r"^wrote into the files", "global state"),
    (r"was changed by the call", "mutated operand"),
    (r"read-only", "mutated operand"),
    (r"lies in the memory of|was changed by a later call", "shared memory"),
    (r"the state of .* was changed|numpy\.seterr", "global state"),
    (r"has dtype|but must return|but must be a |returned ", "wrong dtype or type"),
    (r"(was|were) accepted|larger than the input gave", "accepts an impossible call"),
    (r"^raised ", "raises"),
    (r"holds a NaN that is none", "reads outside"),
    (r"NaN", "NaN handling"),
)


def _contract(violation: Violation, judged: Judged) -> Diagnosis | None:
    for pattern, kind in _REASONS:
        if re.search(pattern, violation.reason):
            return Diagnosis(kind, KINDS[kind], violation.reason)
    if violation.case is None:
        return Diagnosis("unknown", "the violation has no case")
    return _memory(violation.case, judged) or _history(violation.case, judged)


def _memory(case: Case, judged: Judged) -> Diagnosis | None:
    """A result that is wrong in this layout only, and again on fresh data."""
    if case.layout == "contiguous":
        return None
    plain = replace(case, layout="contiguous")
    probes = [(case, plain), *((replace(c, layout=case.layout), c) for c in _near(plain, ("normal",) * 3))]
    seen = [(_trial(a, judged), _trial(b, judged)) for a, b in probes]
    pairs = [(a, b) for a, b in seen if a and b]
    worse = [a for a, b in pairs if a.wrong and not b.wrong]
    if len(worse) < 2 or not pairs or not pairs[0][0].wrong or pairs[0][1].wrong:
        return None
    evidence = f"{len(worse)} calls are wrong with {case.layout} operands and right with contiguous ones"
    made = any(np.isnan(a.results[n].astype(np.complex128)).any() for a in worse for n in a.wrong)
    if case.layout == "inset" or (made and _finite(case)):
        return Diagnosis("reads outside", "reads memory beside an operand", evidence)
    return Diagnosis("memory layout ignored", f"takes {case.layout} memory for contiguous", evidence)


def _history(case: Case, judged: Judged) -> Diagnosis | None:
    """Calls that give what an earlier one should have given, or not the same each time."""
    if _size(case) > SMALL or _size(_unseen(case, 5, 0)) > LARGE:
        return _unsteady(case, judged, 4)
    for in_place in (False, True):
        found = [_second(case, 5 + i, in_place, judged) for i in range(2)]
        if found[0] is not None and found[0] == found[1]:
            return found[0]
    return _unsteady(case, judged, 16)


def _second(case: Case, seed: int, in_place: bool, judged: Judged) -> Diagnosis | None:
    """What the second of two calls of one shape uses of the first."""
    first, second = _unseen(case, seed, 0), _unseen(case, seed, 1)
    before = _call(first, judged, keep=in_place)
    after = _call(second, judged, before if in_place else None)
    return _mixed(after, first, second, judged) if before and after else None


def _unseen(case: Case, seed: int, turn: int) -> Case:
    """The call on larger batches and more channels than a law is likely to have used."""
    shapes = {name: a.shape for name, a in case.operands.items()}
    family = ("denseint", "normal")[turn]
    if case.operation.rank == 0:
        return _filled(case, shapes, family, 2 * seed + turn)
    grown = {name: (shape[0] + 18 + seed, *shape[1:]) if name in _BATCHED else shape for name, shape in shapes.items()}
    kind, w = case.operation.kind, shapes.get("weight")
    if w and kind == "conv":
        grown["weight"] = (w[0] * (2 + seed), *w[1:])
        grown |= {"bias": (w[0] * (2 + seed),)} if "bias" in shapes else {}
    return _filled(case, grown, family, 2 * seed + turn)


_BATCHED = ("input", "grad_output")


def _mixed(call: Call, old: Case, new: Case, judged: Judged) -> Diagnosis | None:
    """Whether a result of the new call is explained by some of the old call's operands."""
    claims = judged.claims(new)
    names = list(new.operands)
    for name, actual in judge.parts(call.results).items():
        if _explains(actual, _expect(_TRUTH, new, name, claims), new, claims) is not False:
            continue
        for size in range(len(names), 0, -1):
            for stale in combinations(names, size):
                mixed = new.with_operands(**{n: old.operands[n] for n in stale})
                if _explains(actual, _expect(_TRUTH, mixed, name, claims), new, claims):
                    which = " and ".join(f"`{n}`" for n in stale)
                    return Diagnosis("stale result", f"uses {which} of an earlier call", "two calls of one shape")
    return None


def _size(case: Case) -> int:
    """Operand elements, or a fiftieth of the products where that is more."""
    elements = sum(a.size for a in case.operands.values())
    if elements > LARGE or case.operation.kind == "max_pool":
        return elements
    return max(elements, int(sum(f.terms.sum() for f in exact.forms(case).values())) // 50)


def _unsteady(case: Case, judged: Judged, times: int) -> Diagnosis | None:
    calls = [c.results for c in (_call(case, judged) for _ in range(times)) if c]
    if all(r[n].tobytes() == calls[0][n].tobytes() for r in calls for n in r):
        return None
    wrong = [not _right(case, results, judged) for results in calls]
    if any(wrong) and not all(wrong):
        said = f"{sum(wrong)} of {len(wrong)} equal calls are wrong"
        return Diagnosis("stale result", "the same call is right at one time and wrong at another", said)
    return None


# ------------------------------------------------------------------------------------------------- trials


@dataclass(frozen=True)
class Trial:
    """One call, what came, and which of its results are not what they must be."""

    case: Case
    results: dict[str, Array]
    claims: Claims
    wrong: frozenset[str]

    @property
    def cost(self) -> int:
        return _size(self.case)


def _call(case: Case, judged: Judged, memory: Call | None = None, keep: bool = False) -> Call | None:
    try:
        return judged.subject.call(case, memory, keep)
    except (Declined, Failure, ValueError):
        return None


def _trial(case: Case, judged: Judged) -> Trial | None:
    call, claims = _call(case, judged), judged.claims(case)
    if call is None:
        return None
    results = judge.parts(call.results)
    wrong = {n for n, a in results.items() if _explains(a, _expect(_TRUTH, case, n, claims), case, claims) is False}
    return Trial(case, results, claims, frozenset(wrong))


def _right(case: Case, results: Mapping[str, Array], judged: Judged) -> bool:
    claims = judged.claims(case)
    parts = judge.parts(results)
    return all(_explains(a, _expect(_TRUTH, case, n, claims), case, claims) is not False for n, a in parts.items())


_FRESH = ("denseint", "denseint", "asymX", "asymW", "sparse4")
_FRESH_MAX = ("ties", "negative", "normal", "ties", "negative")


def _near(case: Case, names: Sequence[str]) -> list[Case]:
    """The same call on fresh data; an empty batch is filled."""
    shapes = {name: a.shape for name, a in case.operands.items()}
    batched = case.operation.rank and case.operands["input"].shape[0] == 0
    if batched:
        shapes = {name: (3, *s[1:]) if name in _BATCHED else s for name, s in shapes.items()}
    return [_filled(case, shapes, name, seed) for seed, name in enumerate(names)]


def _grown(case: Case) -> list[Case]:
    """The same arguments on larger images."""
    if case.operation.rank == 0 or "backward" in case.operation.kind:
        return []
    shapes = {name: a.shape for name, a in case.operands.items()}
    n, c, *size = shapes["input"]
    family = "ties" if case.operation.kind == "max_pool" else "denseint"
    out = []
    for i, more in enumerate((1, 6)):
        shapes["input"] = (max(n, 2), c, *(s + more + axis for axis, s in enumerate(size)))
        out.append(_filled(case, shapes, family, 20 + i))
    return [c for c in out if _size(c) <= LARGE]


def _filled(case: Case, shapes: Mapping[str, Sizes], family: str, seed: int) -> Case:
    blank = replace(case, operands={name: np.ones(shape) for name, shape in shapes.items()}, layout="contiguous")
    operands = families.fill(family, shapes, families.Room(case.dtype, _terms(blank)), seed)
    return replace(blank, operands=operands, family=family)


def _terms(case: Case) -> int:
    if case.operation.kind == "max_pool":
        return 1
    return int(max((f.terms.max(initial=1) for f in exact.forms(case).values()), default=1))


def _drawn(case: Case, judged: Judged, number: int = 30) -> list[Case]:
    """Other calls of the operation, on data that leave no room for error."""
    names = ("ties", "negative") if case.operation.kind.startswith("max_pool") else ("denseint",)
    scope = replace(judged.subject.scope, dtypes=(case.dtype,), families=names, layouts=("contiguous",), empty=False)
    found: list[Case] = []

    def keep(drawn: Drawn) -> bool:
        found.append(drawn.values["case"])
        return True

    draws.each(st.fixed_dictionaries({"case": strategies.cases(case.operation, scope)}), number, 0, keep)
    return [c for c in found if _size(c) <= SMALL]


# ------------------------------------------------------------------------------- what a faulty kernel gives


@dataclass(frozen=True)
class Expect:
    """Between which reals a result lies before the output's rounding; after it where it is `stored`."""

    low: Float64Array
    high: Float64Array
    stored: bool = False
    over: Any = False  # where the sum may have overflowed
    fits: Format | None = None  # a narrower format that holds every result

    def map(self, function: Callable[[Any], Any]) -> Expect:
        """An increasing function of both ends."""
        return replace(self, low=np.asarray(function(self.low)), high=np.asarray(function(self.high)))


@dataclass(frozen=True)
class Fault:
    """A hypothesis: how the call, the form of its result, the claims or the value change under it."""

    kind: str
    words: str
    bend: Callable[[Case], Case | None] | None = None
    form: Callable[[Form, Case], Form | None] | None = None
    after: Callable[[Expect, Case], Expect | None] | None = None
    claims: Mapping[str, Any] = field(default_factory=dict)
    result: Callable[[str], str] | None = None  # which result's value comes in place of the named one
    looks: Callable[[Trial, str], bool | None] | None = None  # in place of a value: whether it explains a trial
    here: bool = False  # says something of calls of the failing call's shapes only
    needs: Callable[[Trial, str], bool] | None = None  # what at least one wrong trial has to show


_TRUTH = Fault("", "")


def _expect(fault: Fault, case: Case, name: str, claims: Claims) -> Expect | None:
    """What a kernel with the fault may return; None where the fault says nothing of the call."""
    bent = fault.bend(case) if fault.bend else case
    if bent is None:
        return None
    source = fault.result(name) if fault.result else name
    expect = _value(fault, bent, case, source, replace(claims, **fault.claims))
    return fault.after(expect, case) if fault.after and expect else expect


def _value(fault: Fault, bent: Case, case: Case, name: str, claims: Claims) -> Expect | None:
    if case.operation.kind == "max_pool":
        best = exact.window_maximum(bent)
        return None if fault.form else Expect(best, best)
    form: Form | None = exact.forms(bent)[name]
    if fault.form and form:
        form = fault.form(form, bent)
    if form is None:
        return None
    truth = exact.value(form)
    room = bound.allowed(bent, claims, {name: form})[name] + truth.error
    over = np.isinf(room)
    if over.any():
        room = bound.allowed(bent, claims, {name: form}, overflow=False)[name] + truth.error
    with np.errstate(invalid="ignore", over="ignore"):
        slack = np.where(room > 0, room * (1 + 1e-10) + 2.0**-52 * np.abs(truth.high), 0.0)
        near = np.where(np.isfinite(truth.low), truth.low, 0.0)
        low, high = truth.high + np.minimum(near, 0) - slack, truth.high + np.maximum(near, 0) + slack
    return Expect(low, high, over=over)


def _explains(actual: Array, expect: Expect | None, case: Case, claims: Claims) -> bool | None:
    """Whether every element is one that was expected; None where nothing can be said."""
    if expect is None:
        return None
    if actual.shape != expect.low.shape:
        return False
    if actual.size == 0:
        return None
    wide = actual.astype(np.float64)
    low, high = wide, wide
    out = format_of(case.dtype)
    if not expect.stored and bound.accumulator(case.dtype, claims).precision > out.precision:
        low, high = out.cell(wide)
    if expect.fits is not None and not np.array_equal(expect.fits.round(wide), wide, equal_nan=True):
        return False
    with np.errstate(invalid="ignore"):
        fine = (low <= expect.high) & (expect.low <= high)
    fine = fine | (np.isnan(wide) & np.isnan(expect.low)) | (~np.isfinite(wide) & expect.over)
    return bool(fine.all())


def _says(fault: Fault, trial: Trial, name: str) -> bool | None:
    """Whether the fault explains a trial; a hypothesis that makes no sense for the call says nothing."""
    try:
        with np.errstate(all="ignore"):
            if fault.looks:
                return fault.looks(trial, name)
            expect = _expect(fault, trial.case, name, trial.claims)
            return _explains(trial.results[name], expect, trial.case, trial.claims)
    except (ValueError, IndexError, TypeError, ZeroDivisionError, KeyError):
        return None


# -------------------------------------------------------------------------------------------- the search


def _values(case: Case, others: Sequence[Case], violation: Violation, judged: Judged) -> Diagnosis:
    """What is wrong with a call; what is named must explain the `others` known to be wrong as well."""
    maximum = case.operation.kind.startswith("max_pool")
    failing = _trial(case, judged)
    fresh: tuple[str, ...] = _FRESH_MAX if maximum else _FRESH
    own = (case.family,) * 2 if case.family in families.FAMILIES else ()
    fresh = (*own, *fresh)[:3] if _size(case) > LARGE else (*own, *fresh)
    near = [t for c in _near(case, fresh) if (t := _trial(c, judged))]
    name = _named(violation, failing, near)
    if failing and not _finite(case) and not any(t.wrong for t in near):
        return Diagnosis("NaN handling", "wrong only where an operand is not finite", f"{len(near)} finite calls right")
    more = [t for c in (*others, *_grown(case), *_drawn(case, judged)) if (t := _trial(c, judged))]
    trials = [t for t in [*([failing] if failing else []), *near, *more] if name in t.results]
    wrong = sorted((t for t in trials if name in t.wrong), key=lambda t: t.cost)
    if wrong and all(t.results[name].size == 0 and t.results[name].shape != t.case.shapes[name] for t in wrong):
        return Diagnosis(
            "output size rule", "wrong shape only where there is no image", f"{len(near)} filled calls right"
        )
    if not wrong:
        return Diagnosis("unknown", "no call that was tried again is wrong")
    same = [t for t in trials[: len(near) + (failing is not None)] if name in t.wrong]
    spared = [t for t in near if name in t.results and name not in t.wrong]
    right = sorted((t for t in trials if name not in t.wrong), key=lambda t: t.cost)
    search = _Search(name, failing, _fewer(wrong, same, failing), same, right, spared)
    for stage in (_structure, _precision):
        found, complete = search.best(stage(case, name, search, judged))
        if found:
            return found
        if not complete:
            return Diagnosis("unknown", "the calls are too large to try every hypothesis")
    return Diagnosis("unknown", KINDS["unknown"], f"{len(wrong)} of {len(trials)} calls tried are wrong")


def _fewer(wrong: list[Trial], same: list[Trial], failing: Trial | None) -> list[Trial]:
    if len(wrong) <= MOST:
        return wrong
    must = same[: 1 + (failing is not None)]
    rest = [t for t in wrong if all(t is not m for m in must)]
    return [*rest[:: -(-len(rest) // (MOST - len(must)))], *must]  # cheap ones and dear ones


def _named(violation: Violation, failing: Trial | None, near: Sequence[Trial]) -> str:
    """The result to explain: the one that was convicted, or the first that is wrong."""
    trials = [t for t in (failing, *near) if t]
    wrong = [n for t in trials for n in sorted(t.wrong)]
    if violation.result in wrong:
        return violation.result
    return wrong[0] if wrong else next((n for t in trials for n in t.results), "output")


def _finite(case: Case) -> bool:
    return all(bool(np.isfinite(a.astype(np.complex128)).all()) for a in case.operands.values())


@dataclass(frozen=True)
class _Search:
    """The trials that every hypothesis is held against."""

    name: str
    failing: Trial | None
    wrong: list[Trial]  # cheapest first
    same: list[Trial]  # those of the failing call's shapes
    right: list[Trial]
    spared: list[Trial]  # right ones of the failing call's shapes

    def best(self, faults: Iterator[Fault]) -> tuple[Diagnosis | None, bool]:
        """The best confirmed hypothesis, and whether all were tried."""
        order, found, until = list(KINDS), [], time.perf_counter() + PATIENCE
        complete = True
        for i, fault in enumerate(faults):
            if (score := self._score(fault, until)) is not None:
                found.append((*score, order.index(fault.kind), i, fault))
            complete = time.perf_counter() < until
            if not complete:
                break
        if not found:
            return None, complete
        found.sort(key=lambda row: row[:4])
        first = found[0]
        fault = first[4]
        rivals = [f for *score, _, _, f in found if score == list(first[:2]) and f.kind != fault.kind]
        words = fault.words + (f"; equally: {rivals[0].words}" if rivals else "")
        evidence = f"explains what {-first[0]} wrong calls gave, and none tried speaks against it"
        return Diagnosis(fault.kind, words, evidence), complete

    def _score(self, fault: Fault, until: float) -> tuple[int, int] | None:
        """(-trials explained, right trials that should be wrong); None where a wrong one is not explained."""
        trials = self.same if fault.here else self.wrong
        explained, shown = 0, fault.needs is None
        for trial in trials:
            if time.perf_counter() > until:
                return None
            said = _says(fault, trial, self.name)
            if said is False or (said is None and trial.results[self.name].size and not fault.claims):
                return None
            explained += bool(said)
            shown = shown or (fault.needs is not None and fault.needs(trial, self.name))
        if explained < ENOUGH or not shown or any(self._excludes(fault, t) for t in self.spared):
            return None
        against = 0 if fault.here else sum(_says(fault, t, self.name) is False for t in self.right)
        return -explained, against

    def _excludes(self, fault: Fault, trial: Trial) -> bool:
        """Whether a right result of a call like the failing one could not come from a kernel with the fault."""
        if "accumulate" not in fault.claims:
            return _says(fault, trial, self.name) is False
        expect = _expect(fault, trial.case, self.name, trial.claims)
        return expect is not None and expect.low.size > 3 and bool((expect.high > expect.low).mean() > 0.5)


# ------------------------------------------------------------------------------- hypotheses on the geometry


@dataclass(frozen=True, eq=False)
class Bent(Case):
    """A call whose geometry is not the one that its arguments say."""

    spec: Any = None
    extra: Sizes = ()

    @cached_property
    def conv(self) -> ConvSpec:
        assert isinstance(self.spec, ConvSpec)
        return self.spec

    @cached_property
    def pool(self) -> PoolSpec:
        assert isinstance(self.spec, PoolSpec)
        return self.spec

    @cached_property
    def output_padding(self) -> Sizes:
        return self.extra


Spec = Any  # a ConvSpec or a PoolSpec
Change = Callable[[Spec, Case], Spec]


def _spec(case: Case) -> Spec:
    return case.pool if "pool" in case.operation.kind else case.conv


def _extra(case: Case) -> Sizes:
    return case.output_padding if case.operation.kind == "conv_transpose" else ()


def _with(case: Case, spec: Spec, extra: Sizes | None = None, **operands: Any) -> Case:
    fields = (case.operation, {**case.operands, **operands}, case.arguments, case.dtype)
    return Bent(*fields, case.family, case.layout, spec=spec, extra=_extra(case) if extra is None else extra)


def _bend(change: Change, keep: bool, case: Case) -> Case | None:
    """The call with another geometry; `keep`: the size of the result stays as it must be."""
    spec = _spec(case)
    bent = change(spec, case)
    if bent == spec:
        return case
    if case.operation.kind.startswith("avg"):  # other padding would change what an average divides by
        return None if keep else _with(case, bent)
    return _with(case, _kept(bent, case) if "backward" in case.operation.kind or keep else bent)


def _kernel(spec: Spec, case: Case) -> Sizes:
    return spec.kernel_size if isinstance(spec, PoolSpec) else case.operands["weight"].shape[2:]


def _extents(spec: Spec, case: Case) -> Sizes:
    return spec.extent if isinstance(spec, PoolSpec) else spec.extent(_kernel(spec, case))


def _kept(spec: Spec, case: Case) -> Spec:
    """Trailing padding so that the size of the result stays (it may be negative)."""
    kind, size, e = case.operation.kind, case.operands["input"].shape[2:], _extents(spec, case)
    if kind == "conv_transpose":
        target = case.shapes["output"][2:]
        rows = zip(size, spec.stride, spec.padding, e, case.output_padding, target, strict=True)
        pads = tuple((a, (n - 1) * s - a + k + x - t) for n, s, (a, _), k, x, t in rows)
    else:
        target = case.operands["grad_output"].shape[2:] if "backward" in kind else case.shapes["output"][2:]
        axes = zip(size, spec.stride, spec.padding, e, target, strict=True)
        pads = tuple((a, (t - 1) * s + k - n - a) for n, s, (a, _), k, t in axes)
    return replace(spec, padding=pads, **({"ceil_mode": False} if isinstance(spec, PoolSpec) else {}))


def _set(values: tuple[Any, ...], axis: int, value: Any) -> tuple[Any, ...]:
    return (*values[:axis], value, *values[axis + 1 :])


_PLAIN = {"stride": 1, "dilation": 1, "padding": (0, 0)}


def _without(name: str, axis: int | None, spec: Spec, case: Case) -> Spec:
    old = getattr(spec, name)
    new = (_PLAIN[name],) * len(old) if axis is None else _set(old, axis, _PLAIN[name])
    return replace(spec, **{name: new})


def _from_axis(name: str, to: int, source: int, spec: Spec, case: Case) -> Spec:
    old = getattr(spec, name)
    return replace(spec, **{name: _set(old, to, old[source])})


def _reordered(name: str, order: Sizes, spec: Spec, case: Case) -> Spec:
    names = (name, "stride") if name == "kernel_size" and case.settings["stride"] is None else (name,)
    return replace(spec, **{n: tuple(getattr(spec, n)[i] for i in order) for n in names})


def _pads(change: Callable[[int, int], tuple[int, int]], axis: int | None, spec: Spec, case: Case) -> Spec:
    pads = tuple(change(*p) if axis in (None, i) else p for i, p in enumerate(spec.padding))
    return replace(spec, padding=pads)


def _rounded_up(spec: Spec, case: Case) -> Spec:
    axes = zip(case.operands["input"].shape[2:], spec.padding, _extents(spec, case), spec.stride, strict=True)
    return replace(spec, padding=tuple((a, b + -(n + a + b - e) % s) for n, (a, b), e, s in axes))


def _capped_dilation(spec: Spec, case: Case) -> Spec:
    return replace(spec, dilation=tuple(min(d, 2) for d in spec.dilation))


def _valid_padded(spec: Spec, case: Case) -> Spec:
    if case.settings["padding"] != "valid":
        return spec
    return replace(spec, padding=tuple(((e - 1) // 2,) * 2 for e in _extents(spec, case)))


def _capped_stride(spec: Spec, case: Case) -> Spec:
    return replace(spec, stride=tuple(min(s, k) for s, k in zip(spec.stride, _kernel(spec, case), strict=True)))


def _same_padding(argument: str, undilated: bool, like: str, spec: Spec, case: Case) -> Spec:
    """Padding of a call that says `argument` computed as for `like`, perhaps without the dilation."""
    if case.settings["padding"] != argument:
        return spec
    dilation = 1 if undilated else spec.dilation
    other = conv_spec(case.operation.rank, _kernel(spec, case), 1, like, dilation)
    return replace(spec, padding=other.padding)


def _smaller_window(axis: int, spec: Spec, case: Case) -> Spec:
    return replace(spec, kernel_size=_set(spec.kernel_size, axis, max(1, spec.kernel_size[axis] - 1)))


def _flag(name: str, value: bool, spec: Spec, case: Case) -> Spec:
    return replace(spec, **{name: value})


_AXES = {1: ("the axis",), 2: ("the height", "the width"), 3: ("the depth", "the height", "the width")}
_PAD_ROWS: tuple[tuple[str, str, bool, Callable[[int, int], tuple[int, int]]], ...] = (
    ("border or halo", "puts all the padding before the data", False, lambda a, b: (a + b, 0)),
    ("border or halo", "puts all the padding behind the data", False, lambda a, b: (0, a + b)),
    ("border or halo", "exchanges the padding before and behind the data", False, lambda a, b: (b, a)),
    ("shifted", "starts one place too early", True, lambda a, b: (a + 1, b - 1)),
    ("shifted", "starts one place too late", True, lambda a, b: (a - 1, b + 1)),
    ("shifted", "starts one place too early where there is padding", False,
     lambda a, b: (a + 1, b - 1) if b else (a, b)),
    ("shifted", "starts one place too late where there is padding", False,
     lambda a, b: (a - 1, b + 1) if a else (a, b)),
    ("output size rule", "pads one place too little behind the data", False, lambda a, b: (a, b - 1)),
    ("output size rule", "pads one too little behind the data where there is padding", False,
     lambda a, b: (a, max(b - 1, 0))),
    ("output size rule", "pads one place too much behind the data", False, lambda a, b: (a, b + 1)),
)  # fmt: skip


def _geometry(case: Case) -> Iterator[tuple[str, str, Change]]:
    """(kind, words, change) for the operation's rank."""
    rank, pool = case.operation.rank, "pool" in case.operation.kind
    axes = _AXES[rank]
    for name in ("stride", "dilation", "padding"):
        yield "ignored argument", f"ignores `{name}`", partial(_without, name, None)
        for i, axis in enumerate(axes[: rank * (rank > 1)]):
            yield "ignored argument", f"ignores `{name}` along {axis}", partial(_without, name, i)
    for name in ("stride", "dilation", "padding", *(("kernel_size",) if pool else ())):
        for order in permutations(range(rank)):
            if order != tuple(range(rank)):
                yield "wrong axis", f"exchanges `{name}` between axes {order}", partial(_reordered, name, order)
        for i, j in permutations(range(rank), 2):
            words = f"takes `{name}` of {axes[i]} from {axes[j]}"
            yield "wrong axis", words, partial(_from_axis, name, i, j)
    for kind, words, _, pads in _PAD_ROWS:
        yield kind, words, partial(_pads, pads, None)
        for i, axis in enumerate(axes[: rank * (rank > 1)]):
            yield kind, f"{words}, along {axis}", partial(_pads, pads, i)
    yield "output size rule", "rounds the output size up", _rounded_up
    yield "ignored argument", "takes every `dilation` above 2 for 2", _capped_dilation
    yield "ignored argument", "takes a `stride` above the kernel's size for that size", _capped_stride
    if pool:
        for i, axis in enumerate(axes):
            yield "dropped tap", f"leaves out the last cell of a window along {axis}", partial(_smaller_window, i)
        yield "ignored argument", "ignores `ceil_mode`", partial(_flag, "ceil_mode", False)
        yield "ignored argument", "ignores `count_include_pad`", partial(_flag, "count_include_pad", True)
        yield "ignored argument", "never counts the padding", partial(_flag, "count_include_pad", False)
    elif case.operation.kind != "conv_transpose":
        yield "ignored argument", 'ignores `dilation` in "same" padding', partial(_same_padding, "same", True, "same")
        words = 'puts the odd cell of "same" padding before the data'
        yield "border or halo", words, partial(_same_padding, "same", False, "same_lower")
        yield "ignored argument", 'pads though `padding` is "valid"', _valid_padded


def _geometric(case: Case) -> Iterator[Fault]:
    for kind, words, change in _geometry(case):
        for keep in (False, True):
            yield Fault(kind, words, partial(_bend, change, keep))
    if case.operation.kind == "conv_transpose":
        for kind, words, order in _EXTRA_ROWS:
            yield Fault(kind, words, partial(_bend_extra, order))
        yield Fault("shifted", "puts `output_padding` before the data", _extra_before, _late_products)
    if case.operation.kind == "max_pool":
        yield Fault("pooling rule", "keeps windows of ceil mode that start in the padding", _ceil_extra)


def _bend_extra(change: Callable[[Sizes], Sizes], case: Case) -> Case:
    return _with(case, case.conv, change(case.output_padding))


def _extra_before(case: Case) -> Case:
    pads = tuple((max(a - x, 0), b) for (a, b), x in zip(case.conv.padding, case.output_padding, strict=True))
    return _with(case, _kept(replace(case.conv, padding=pads), case))


def _late_products(form: Form, case: Case) -> Form:
    """What output padding moves beyond the leading padding; the arguments still say how much that is."""
    before = transposed_spec(case.operation.rank, **case.settings)[0].padding
    late = [max(x - a, 0) for (a, _), x in zip(before, case.output_padding, strict=True)]

    def move(a: Any, case: Case) -> Any:
        for i, by in enumerate(late):
            a = _moved(2 + i, by, a, case) if by else a
        return a

    return _products(move, form, case)


_EXTRA_ROWS: tuple[tuple[str, str, Callable[[Sizes], Sizes]], ...] = (
    ("ignored argument", "ignores `output_padding`", lambda e: (0,) * len(e)),
    ("wrong axis", "exchanges `output_padding` between axes", lambda e: e[::-1]),
)


def _ceil_extra(case: Case) -> Case | None:
    """Windows that start in the trailing padding: as many as rounding up gives."""
    spec = case.pool
    if not spec.ceil_mode:
        return case
    return _with(case, replace(_rounded_up(spec, case), ceil_mode=False))


class _Extra(PoolSpec):
    """Ceil mode that keeps every window the rounding gives."""

    def _windows(self, n: int, pad: tuple[int, int], extent: int, stride: int) -> int:
        return max(0, -(-(n + sum(pad) - extent) // stride) + 1)


# ------------------------------------------------------------------------------- hypotheses on the operands

Edit = Callable[[Any, Case], Any]  # a copy of an operand -> what is used instead, None: nothing is said


def _edit(name: str, edit: Edit, case: Case) -> Case | None:
    if name not in case.operands:
        return None
    new = edit(case.operands[name].copy(), case)
    return None if new is None else _with(case, _spec(case), **{name: new}) if case.operation.rank else (
        case.with_operands(**{name: new})
    )  # fmt: skip


def _flip(axes: Sizes, a: Any, case: Case) -> Any:
    return np.flip(a, tuple(i for i in axes if -a.ndim <= i < a.ndim))


def _scaled(factor: float, where: Any, a: Any, case: Case) -> Any:
    a[where] = a[where] * factor
    return a


def _swapped(first: Any, second: Any, a: Any, case: Case) -> Any:
    left, right = a[first].copy(), a[second].copy()
    a[first], a[second] = right, left
    return a


def _rows(case: Case) -> Iterator[tuple[str, str, str, Edit]]:
    """(kind, words, operand, edit)."""
    rank = case.operation.rank
    weight = "in2" if rank == 0 else "weight"
    if weight in case.operands:
        yield from _orientation(weight, case)
        yield from _taps(weight, case)
    if "weight" in case.operands:
        yield from _channel_rows(case)
    for name in ("input", "grad_output"):
        if name in case.operands:
            yield "batch mix-up", f"leaves out the last image of `{name}`", name, partial(_scaled, 0, np.s_[-1:])
            yield "batch mix-up", f"uses the first image of `{name}` only", name, partial(_scaled, 0, np.s_[1:])
            for i, axis in enumerate(_AXES[rank]):
                where = (..., slice(-1, None), *(slice(None),) * (rank - 1 - i))
                yield "border or halo", f"leaves out the end of {axis} of `{name}`", name, partial(_scaled, 0, where)


def _orientation(name: str, case: Case) -> Iterator[tuple[str, str, str, Edit]]:
    a = case.operands[name]
    axes = tuple(range(-(case.operation.rank or 3), 0))
    yield "flipped kernel", f"reads `{name}` backwards on every axis", name, partial(_flip, axes)
    for some in (s for size in range(1, len(axes)) for s in combinations(axes, size)):
        words = f"reads `{name}` backwards along axis {' and '.join(map(str, some))}"
        yield "flipped kernel", words, name, partial(_flip, some)
    if np.iscomplexobj(a):
        yield "conjugation", f"does not conjugate `{name}`", name, lambda a, case: a.conj()
    for i, j in combinations(axes[: 3 * (name == "weight")], 2):
        yield "transposed kernel", f"exchanges the axes {i} and {j} of `{name}`", name, partial(_exchange, i, j)
    if name == "weight":
        yield "transposed kernel", "takes the first axis of `weight` for the second", name, partial(_exchange, 0, 1)


def _exchange(i: int, j: int, a: Any, case: Case) -> Any:
    return np.swapaxes(a, i, j) if a.shape[i] == a.shape[j] else a


def _taps(name: str, case: Case) -> Iterator[tuple[str, str, str, Edit]]:
    rank = case.operation.rank or case.operands[name].ndim
    last, first, every = (-1,) * rank, (0,) * rank, (slice(None),) * rank
    channel = (slice(None),) if case.operation.rank else ()
    ends = [("last", last), ("first", first)]
    for word, tap in ends:
        rows: list[tuple[str, Any]] = [(f"the {word} tap of every channel", (..., *tap))]
        if channel:
            rows += [
                (f"the {word} tap of the {w} channel", (slice(None), i, *tap)) for w, i in (("last", -1), ("first", 0))
            ]
        for words, where in rows:
            yield "dropped tap", f"leaves out {words}", name, partial(_scaled, 0, where)
            yield "doubled tap", f"counts {words} twice", name, partial(_scaled, 2, where)
    for i in range(rank):
        for word, cut in (("last", slice(-1, None)), ("first", slice(0, 1))):
            where = (..., *every[:i], cut, *every[i + 1 :])
            yield "dropped tap", f"leaves out the {word} taps along axis {i - rank}", name, partial(_scaled, 0, where)
    yield "dropped tap", "leaves out what is beyond a multiple of four taps", name, _without_tail
    if rank > 1:
        yield "wrong axis", "takes the kernel's width for its height", name, partial(_square, -1, -2)
        yield "wrong axis", "takes the kernel's height for its width", name, partial(_square, -2, -1)
    second = (*first[:-1], 1)
    yield "swapped taps", "exchanges the first two taps", name, partial(_swapped, (..., *first), (..., *second))
    yield "swapped taps", "exchanges the first and the last tap", name, partial(_swapped, (..., *first), (..., *last))
    if channel:
        pair = (slice(None), 0, *first), (slice(None), 0, *second)
        yield "swapped taps", "exchanges the first two taps of the first channel", name, partial(_swapped, *pair)


def _without_tail(a: Any, case: Case) -> Any:
    size = a.shape[-1]
    return _scaled(0, (..., slice(size - size % 4, None)), a, case) if size > 4 else a


def _square(source: int, axis: int, a: Any, case: Case) -> Any:
    where = [slice(None)] * a.ndim
    where[axis] = slice(a.shape[source], None)
    return _scaled(0, tuple(where), a, case)


def _channel_rows(case: Case) -> Iterator[tuple[str, str, str, Edit]]:
    transposed = case.operation.kind == "conv_transpose"
    side = 0 if transposed else 1
    for word, index in (("last", slice(-1, None)), ("first", slice(0, 1))):
        where = (slice(None),) * side + (index,)
        yield "channel mix-up", f"leaves out the {word} channel", "weight", partial(_scaled, 0, where)
    for words, order in _ORDERS:
        yield "channel mix-up", f"reads the channels of `input` {words}", "input", partial(_reorder, order)
    for words, groups in _GROUP_ORDERS:
        yield "group mix-up", f"{words} of `input`", "input", partial(_regroup, groups, "in")
        yield "group mix-up", f"{words} of `weight`", "weight", partial(_regroup, groups, "out")
    yield "group mix-up", "deals the input channels out to the groups one by one", "input", partial(_deal, False)
    yield "group mix-up", "gathers every so manyth input channel for a group", "input", partial(_deal, True)


_ORDERS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("in reversed order", lambda i: i[::-1]),
    ("one place beside", lambda i: np.roll(i, 1)),
    ("one place beside, the other way", lambda i: np.roll(i, -1)),
)
_GROUP_ORDERS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("uses the groups in reversed order", lambda i: i[::-1]),
    ("uses the first group for every group", lambda i: 0 * i),
    ("uses the second group from there on", lambda i: np.minimum(i, 1)),
    ("uses the group before", lambda i: np.roll(i, 1)),
    ("uses the group behind", lambda i: np.roll(i, -1)),
)


def _reorder(order: Callable[[Any], Any], a: Any, case: Case) -> Any:
    """Inside each group."""
    per = a.shape[1] // case.conv.groups
    return a[:, [g * per + i for g in range(case.conv.groups) for i in order(np.arange(per))]]


def _regroup(order: Callable[[Any], Any], side: str, a: Any, case: Case) -> Any:
    groups = case.conv.groups
    axis = 1 if side == "in" else 0
    per = a.shape[axis] // groups
    return np.take(a, [g * per + i for g in order(np.arange(groups)) for i in range(per)], axis)


def _regrouped(order: Callable[[Any], Any], a: Any, case: Case) -> Any:
    return _regroup(order, "in", a, case)


def _deal(back: bool, a: Any, case: Case) -> Any:
    groups, n = case.conv.groups, a.shape[1]
    shape = (n // groups, groups) if back else (groups, n // groups)
    return a[:, np.arange(n).reshape(shape).T.ravel()]


def _multiplier(case: Case) -> Case | None:
    """Depthwise: output channel o reads input channel o % C."""
    x, w = case.operands["input"], case.operands["weight"]
    if w.shape[1] != 1 or case.operation.kind != "conv":
        return case
    return _with(case, replace(case.conv, groups=len(w)), input=x[:, np.arange(len(w)) % x.shape[1]])


def _operands(case: Case) -> Iterator[Fault]:
    for kind, words, name, edit in _rows(case):
        yield Fault(kind, words, partial(_edit, name, edit))
    if case.operation.kind == "conv":
        yield Fault("group mix-up", "reads input channel o % C for output channel o of a depthwise call", _multiplier)
    if case.operation.kind in ("conv", "conv_backward", "avg_pool", "max_pool"):
        yield from _borders(case)
    if case.operation.rank == 0:
        yield Fault("wrong axis", "exchanges the two operands", _operands_exchanged)


def _operands_exchanged(case: Case) -> Case | None:
    return case.with_operands(in1=case.operands["in2"], in2=case.operands["in1"])


_FILLS: dict[str, tuple[str, Callable[[Any, int], Any]]] = {
    "clamped": ("repeats the edge in the padding", lambda i, n: np.clip(i, 0, n - 1)),
    "wrapped": ("takes the padding from the opposite side", lambda i, n: i % n),
    "reflected": ("reflects the data into the padding", lambda i, n: n - 1 - np.abs(n - 1 - i % max(1, 2 * n - 2))),
}


def _borders(case: Case) -> Iterator[Fault]:
    axes = _AXES[case.operation.rank]
    if case.operation.kind == "max_pool":
        yield Fault("pooling rule", "pads with zeros", partial(_filled_border, None, None, None))
        return
    for words, fill in _FILLS.values():
        yield Fault("border or halo", words, partial(_filled_border, fill, None, None))
        for (i, axis), side in product(enumerate(axes), (0, 1)):
            where = f"{words} {('before', 'behind')[side]} the data along {axis}"
            yield Fault("border or halo", where, partial(_filled_border, fill, i, side))
        for i, axis in enumerate(axes[: len(axes) * (len(axes) > 1)]):
            yield Fault("border or halo", f"{words} along {axis}", partial(_filled_border, fill, i, None))


def _filled_border(fill: Callable[[Any, int], Any] | None, axis: int | None, side: int | None, case: Case) -> Case:
    """The call without padding on an image that has its border filled already."""
    x: Any = case.operands["input"]
    spec = _spec(case)
    pads = spec.padding
    if case.operation.kind == "max_pool":  # as far as the last window reaches
        pads = tuple((a, max(b, c)) for (a, b), (_, c) in zip(pads, _kept(spec, case).padding, strict=True))
        spec = replace(spec, ceil_mode=False)
    for i, (a, b) in enumerate(pads):
        n = x.shape[2 + i]
        at = np.arange(-a, n + b)
        filled = np.zeros(at.shape, dtype=bool)
        if fill and axis in (None, i):
            filled = ((at < 0) & (side != 1)) | ((at >= n) & (side != 0))
        source = np.where(filled, fill(at, n) if fill else 0, np.clip(at, 0, n - 1))
        x = np.take(x, source, 2 + i)
        empty = (at < 0) | (at >= n)
        empty &= ~filled
        x[(..., empty, *(slice(None),) * (len(pads) - 1 - i))] = 0
    return _with(case, replace(spec, padding=((0, 0),) * len(pads)), input=x)


# --------------------------------------------------------------------------------- hypotheses on the result

Map = Callable[[Any, Case], Any]


def _mapped(form: Form, function: Callable[[Any], Any]) -> Form:
    """The form of a rearranged result."""
    shape = form.magnitude.shape
    inner = form.operator
    addend = None if form.addend is None else function(np.broadcast_to(form.addend, shape))
    divisor = form.divisor
    if np.ndim(divisor):
        divisor = function(np.broadcast_to(np.asarray(divisor, dtype=np.float64), shape))
        divisor = np.where(divisor == 0, 1, divisor)
    return replace(form, operator=lambda a, b: function(inner(a, b)), addend=addend, divisor=divisor, norms=None)


def _arranged(function: Map, form: Form, case: Case) -> Form:
    return _mapped(form, lambda a: function(a, case))


def _products(function: Map, form: Form, case: Case) -> Form:
    """Rearranges the sums of products only; the addend stays."""
    inner = form.operator
    return replace(form, operator=lambda a, b: function(inner(a, b), case), norms=None)


def _moved(axis: int, by: int, a: Any, case: Case) -> Any:
    out = np.roll(a, by, axis)
    edge = [slice(None)] * a.ndim
    edge[axis] = slice(0, by) if by > 0 else slice(by, None)
    out[tuple(edge)] = 0
    return out


def _cropped(axis: int, a: Any, case: Case) -> Any:
    return np.take(a, range(a.shape[axis] - 1), axis)


def _cropped_at_fit(axis: int, a: Any, case: Case) -> Any:
    spec = _spec(case)
    n, (before, after) = case.operands["input"].shape[axis], spec.padding[axis]
    free = (n + before + after - _extents(spec, case)[axis]) % spec.stride[axis]
    return a if free or spec.stride[axis] == 1 else _cropped(axis, a, case)


def _last_rows(case: Case, a: Any, value: Any) -> Any:
    """Zero in the rows that output padding adds."""
    out = np.array(a)
    for i, extra in enumerate(case.output_padding):
        if extra:
            where: Any = (..., slice(-extra, None), *(slice(None),) * (len(case.output_padding) - 1 - i))
            out[where] = value
    return out


def _last_repeated(a: Any) -> Any:
    flat = np.array(a).reshape(-1)
    flat[-1:] = flat[-2:-1]
    return flat.reshape(a.shape)


def _reached(a: Any, case: Case) -> Any:
    spec, places = case.conv, case.operands["grad_output"].shape[2:]
    axes = zip(places, spec.stride, _extents(spec, case), spec.padding, strict=True)
    return a[(..., *(slice((n - 1) * s + e - b) for n, s, e, (b, _) in axes))]


def _last_column_tap(form: Form, case: Case) -> Form:
    """The last output column without the last column of taps."""
    less = np.array(form.b)
    less[..., -1] = 0

    def operator(a: Any, b: Any) -> Any:
        out = np.array(form.operator(a, b))
        out[..., -1] = form.operator(a, np.where(less != 0, b, 0))[..., -1]
        return out

    return replace(form, operator=operator, norms=None)


_RESULT_ROWS: tuple[tuple[str, str, str, Callable[[Form, Case], Form | None]], ...] = (
    ("wrong axis", "returns the channels last", "", partial(_arranged, lambda a, c: np.moveaxis(a, 1, -1))),
    ("output size rule", "drops axes of length one", "",
     partial(_arranged, lambda a, c: a[0] if a.shape[0] == 1 else a)),
    ("output size rule", "drops every axis of length one", "", partial(_arranged, lambda a, c: np.squeeze(a))),
    ("flipped kernel", "returns the result reversed on every spatial axis", "",
     partial(_arranged, lambda a, c: np.flip(a, tuple(range(-(c.operation.rank or a.ndim), 0))))),
    ("batch mix-up", "does not clear the sum between images", "", partial(_products, lambda a, c: np.cumsum(a, 0))),
    ("batch mix-up", "gives every image the result of the first", "",
     partial(_arranged, lambda a, c: a[:1].repeat(len(a), 0))),
    ("border or halo", "the last element holds what belongs to the one before", "",
     partial(_arranged, lambda a, c: _last_repeated(a))),
    ("output size rule", "cuts off what no window reads", "conv_backward",
     partial(_arranged, lambda a, c: _reached(a, c))),
    ("dropped tap", "the last column leaves out the last column of taps", "conv", _last_column_tap),
    ("border or halo", "leaves the rows that output padding adds without products", "conv_transpose",
     partial(_products, lambda a, c: _last_rows(c, a, 0))),
)  # fmt: skip


def _result(case: Case) -> Iterator[Fault]:
    kind = case.operation.kind
    rank = case.operation.rank or case.operands["in1"].ndim
    for what, words, only, form in _RESULT_ROWS:
        if only in ("", kind):
            yield Fault(what, words, form=form)
    if kind in ("conv", "conv_transpose"):
        for words, order in _GROUP_ORDERS:
            yield Fault("group mix-up", f"{words} in `output`", form=partial(_products, partial(_regrouped, order)))
    for i in range(-rank, 0):
        for by in (1, -1):
            words = f"the result lies one place beside along axis {i}"
            yield Fault("shifted", words, form=partial(_arranged, partial(_moved, i, by)))
        words = f"loses the end of the result along axis {i}"
        yield Fault("output size rule", words, form=partial(_arranged, partial(_cropped, i)))
        if "conv" in kind and case.operation.rank:
            words = f"loses the end of the result along axis {i} where the windows fit"
            yield Fault("output size rule", words, form=partial(_arranged, partial(_cropped_at_fit, i)))
    yield Fault("constant result", "returns zeros", after=lambda e, c: e.map(lambda a: 0 * a))
    yield Fault("NaN handling", "returns NaN only", after=lambda e, c: e.map(lambda a: a * np.nan))
    yield Fault("NaN handling", "gives NaN where the result is zero", after=_nan_at_zero)
    if "max" not in kind:
        yield Fault("sign", "cuts negative results off at zero", after=lambda e, c: e.map(lambda a: np.maximum(a, 0)))
        yield Fault("sign", "returns the absolute value", after=_absolute)
        yield Fault("sign", "returns the negative", after=lambda e, c: replace(e, low=-e.high, high=-e.low))


def _nan_at_zero(e: Expect, case: Case) -> Expect:
    zero = (e.low == 0) & (e.high == 0)
    return e.map(lambda a: np.where(zero, np.nan, a))


def _absolute(e: Expect, case: Case) -> Expect:
    low = np.where((e.low <= 0) & (e.high >= 0), 0, np.minimum(np.abs(e.low), np.abs(e.high)))
    return replace(e, low=low, high=np.maximum(np.abs(e.low), np.abs(e.high)))


# ------------------------------------------------------------------------------ gradients and pooling rules


def _gradients(case: Case) -> Iterator[Fault]:
    kind = case.operation.kind
    if kind == "conv_backward":
        for to in ("grad_input", "grad_weight"):
            words = f"returns `{to}` in place of another gradient"
            yield Fault("gradient scale or routing", words, result=partial(_instead, to))
    if kind in ("conv_transpose", "avg_pool_backward", "max_pool_backward"):
        words = "the last window overwrites where windows overlap"
        yield Fault("overwrites", words, form=_overwritten)
    if kind == "avg_pool_backward":
        yield Fault("gradient scale or routing", "does not divide by the window's size", form=_undivided)
        yield Fault("pooling rule", "divides by the whole window everywhere", form=_whole_share)
    if kind == "avg_pool":
        yield Fault("pooling rule", "divides by the whole window everywhere", form=_whole_window)
        yield Fault(
            "pooling rule", "gives zeros for windows of ceil mode that start in the padding", form=_zero_windows
        )
        for fmt in (FORMATS["float32"], FORMATS["float16"], FORMATS["bfloat16"]):
            words = f"rounds the reciprocal of the window's size to {fmt.name}"
            yield Fault("low-precision inputs", words, form=partial(_reciprocal, fmt))
    if kind == "max_pool_backward":
        for words, chosen in _CHOICES:
            yield Fault("pooling rule", words, form=partial(_chosen, chosen))
        yield Fault("gradient scale or routing", "counts positions in the padded image", form=_padded_index)
    if kind == "max_pool":
        for start in (0.0, -1e4, float(np.finfo(np.float32).tiny), float(np.finfo(np.float64).tiny)):
            yield Fault("pooling rule", f"starts the search at {start:g}", after=partial(_at_least, start))


def _instead(other: str, name: str) -> str:
    return other


def _at_least(start: float, e: Expect, case: Case) -> Expect:
    return e.map(lambda a: np.maximum(a, start))


def _overwritten(form: Form, case: Case) -> Form | None:
    """Position by position in row-major order, what a window writes replaces what was there."""
    places = form.a.shape[2:]
    if prod(places) * float(form.terms.sum()) > 1e6:
        return None

    def operator(a: Any, b: Any) -> Any:
        total = form.operator(a * 0, b * 0)
        for at in np.ndindex(*places):
            one = np.zeros(a.shape)
            one[(..., *at)] = 1
            touched = form.operator(one, b if form.term_roundings == 0 else np.ones_like(b)) != 0
            total = np.where(touched, form.operator(a * one, b), total)
        return total

    return replace(form, operator=operator, norms=None)


def _undivided(form: Form, case: Case) -> Form:
    return replace(form, b=np.ones_like(form.b), divisor=1)


def _whole_share(form: Form, case: Case) -> Form:
    return replace(form, b=np.ones_like(form.b), divisor=prod(case.pool.kernel_size))


def _whole_window(form: Form, case: Case) -> Form:
    if not case.pool.count_include_pad:
        return form
    return replace(form, divisor=np.full(np.shape(form.divisor), prod(case.pool.kernel_size)))


def _zero_windows(form: Form, case: Case) -> Form:
    spec, size = case.pool, case.operands["input"].shape[2:]
    if not spec.ceil_mode:
        return form
    more = [n - o for n, o in zip(_Extra(**vars(spec)).output_size(size), spec.output_size(size), strict=True)]
    return _mapped(form, lambda a: np.pad(a, ((0, 0), (0, 0), *((0, m) for m in more))))


def _reciprocal(fmt: Format, form: Form, case: Case) -> Form:
    cells = prod(case.pool.kernel_size)
    factor = cells * float(fmt.round(np.array(1 / cells)))
    return replace(form, b=form.b * factor, term_roundings=2)


def _cells(case: Case) -> tuple[Any, Any]:
    """(N, C, taps, *size): the elements of each window, and which of them are inside the image."""
    spec, x = case.pool, case.operands["input"].astype(np.float64)
    size = spec.output_size(x.shape[2:])
    index = [
        np.arange(o)[:, None] * s + np.arange(k) * d - a
        for o, s, k, d, (a, _) in zip(size, spec.stride, spec.kernel_size, spec.dilation, spec.padding, strict=True)
    ]
    cells, inside = x, np.ones((1, 1), dtype=bool)
    for i, at in enumerate(index):
        n = x.shape[2 + i]
        cells = np.take(cells, np.clip(at, 0, n - 1), 2 + 2 * i)
        here = (at >= 0) & (at < n)
        inside = inside[..., None, None] & here
    rank = len(size)
    order = (0, 1, *range(3, 3 + 2 * rank, 2), *range(2, 2 + 2 * rank, 2))
    cells, inside = (np.transpose(np.broadcast_to(a, cells.shape), order) for a in (cells, inside))
    flat = (*cells.shape[:2], prod(spec.kernel_size), *size)
    return cells.reshape(flat), inside.reshape(flat)


def _chosen(choose: Callable[[Any], Any], form: Form, case: Case) -> Form:
    cells, inside = _cells(case)
    best = inside & (cells == np.where(inside, cells, -np.inf).max(axis=2, keepdims=True))
    return replace(form, b=np.asarray(choose(best), dtype=np.float64).reshape(form.b.shape), term_roundings=1)


def _only_last(best: Any) -> Any:
    behind = np.flip(np.cumsum(np.flip(best, 2), 2), 2)
    return best & (behind == 1)


_CHOICES: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("sends the gradient to the last of equal maxima", _only_last),
    ("sends the whole gradient to every one of equal maxima", lambda best: best),
    ("splits the gradient between equal maxima", lambda best: best / np.maximum(best.sum(2, keepdims=True), 1)),
)


def _padded_index(form: Form, case: Case) -> Form:
    def move(a: Any, case: Case) -> Any:
        by = 0
        for n, (before, _) in zip(a.shape[2:], case.pool.padding, strict=True):
            by = by * n + before
        return np.roll(a.reshape(*a.shape[:2], -1), by, 2).reshape(a.shape)

    return _arranged(move, form, case)


# ------------------------------------------------------------------- hypotheses read off the failing calls


def _found(case: Case, name: str, search: _Search, judged: Judged) -> Iterator[Fault]:
    """What a result looks like suggests where it came from; fresh data confirm it or not."""
    if not search.same:
        return
    sample = next((t for t in search.same if t.case.family == "denseint"), search.same[-1])
    if (sample.case.operands.get("bias")) is not None:
        words = _bias_words(sample.case, judged)
        yield Fault("bias", words, form=partial(_own_bias, judged))
    yield from _places(sample, name)
    yield Fault("flush to zero", "takes small results for zero", looks=_is_snapped)
    yield from _factor(sample, name)
    yield from _single_taps(sample, name)


def _bias_words(case: Case, judged: Judged) -> str:
    call = _call(case.with_operands(input=np.zeros_like(case.operands["input"])), judged)
    if call is None:
        return "the bias is not added once at every position"
    added = call.results["output"].astype(np.float64)
    bias = case.operands["bias"].astype(np.float64).reshape(-1, *(1,) * (added.ndim - 2))
    if not added.any():
        return "the bias is missing"
    for times in (2, 3, 4, 5, 6, 7):
        if np.array_equal(added, np.broadcast_to(times * bias, added.shape)):
            return f"the bias is added {times} times"
    if ((added == bias) | (added == 0)).all():
        return f"the bias is missing in {int(((added == 0) & (bias != 0)).sum())} of {added.size} places"
    return "the bias is not added once at every position, but in other places"


def _own_bias(judged: Judged, form: Form, case: Case) -> Form | None:
    """The products of the call, with the bias as the subject adds it to nothing."""
    if "bias" not in case.operands:
        return form
    nothing = case.with_operands(input=np.zeros_like(case.operands["input"]))
    call = _call(nothing, judged)
    return None if call is None else replace(form, addend=call.results["output"].astype(np.float64))


def _places(sample: Trial, name: str) -> Iterator[Fault]:
    """Slices along an axis that hold zeros, or what belongs to another slice."""
    for axis in range(sample.results[name].ndim):
        source = _sources(sample, name, axis)
        if source is None or source == tuple(range(len(source))):
            continue
        kind, words = _moves(source, axis, sample, name)
        yield Fault(kind, words, looks=partial(_is_moved, axis, kind))


def _is_moved(axis: int, kind: str, trial: Trial, name: str) -> bool | None:
    """Right results are as they must be: they say nothing against."""
    if name not in trial.wrong:
        return None
    source = _sources(trial, name, axis, kind != "unwritten part")
    if source is None:
        return False
    return kind != "unwritten part" or all(j < 0 for i, j in enumerate(source) if i != j)


def _sources(trial: Trial, name: str, axis: int, moved: bool = False) -> Sizes | None:
    """For each index along an axis, whose slice of the true value it holds; -1: zeros (if `moved`, last of all)."""
    truth, actual = _expect(_TRUTH, trial.case, name, trial.claims), trial.results[name]
    if truth is None or truth.low.shape != actual.shape or axis >= actual.ndim or actual.size > 200_000:
        return None
    found: list[int] = []
    for i in range(actual.shape[axis]):
        part = np.take(actual, i, axis)
        near = sorted(range(actual.shape[axis]), key=lambda j: abs(i - j))
        for j in near if moved or part.any() else [i, -1]:
            there = replace(truth.map(partial(_slice, axis, j)), over=False)
            if _explains(part, there, trial.case, trial.claims) is not False:
                found.append(j)
                break
        else:
            return None
    return tuple(found)


def _slice(axis: int, index: int, a: Any) -> Any:
    part = np.take(a, max(index, 0), axis)
    return part if index >= 0 else np.zeros_like(part)


def _moves(source: Sizes, axis: int, sample: Trial, name: str) -> tuple[str, str]:
    wrong = [i for i, j in enumerate(source) if i != j]
    where = f"along axis {axis} of `{name}`"
    first = f"index {wrong[0]}" if len(wrong) == 1 else f"indices {wrong[0]} to {wrong[-1]}"
    if all(source[i] < 0 for i in wrong):
        return "unwritten part", f"leaves {first} at zero {where}"
    groups = sample.case.conv.groups if "weight" in sample.case.operands else 1
    named = 1 if name == "grad_weight" and axis == 0 else axis if sample.case.operation.rank else 2
    exchanged = groups > 1 and sorted(source) == list(range(len(source)))
    kind = {0: "batch mix-up", 1: "group mix-up" if exchanged else "channel mix-up"}.get(named, "shifted")
    if kind == "shifted" and len(wrong) == 1 and wrong[0] in (0, len(source) - 1):
        kind = "border or halo"
    return kind, f"{first} {where} hold what belongs to {source[wrong[0]]}"


def _is_snapped(trial: Trial, name: str) -> bool | None:
    """Wrong only where the true value is below what no result falls below."""
    truth, actual = _expect(_TRUTH, trial.case, name, trial.claims), trial.results[name].astype(np.float64)
    if truth is None or truth.low.shape != actual.shape:
        return None
    size = np.maximum(np.abs(truth.low), np.abs(truth.high))
    limit = float(size[(actual == 0) & (size > 0)].max(initial=0.0))
    kept = actual[actual != 0]
    if limit > 1e-6 or (kept.size and np.abs(kept).min() < limit):
        return False
    snapped = truth.map(lambda a: np.where(size <= limit, 0.0, a))
    return _explains(trial.results[name], snapped, trial.case, trial.claims)


def _factor(sample: Trial, name: str) -> Iterator[Fault]:
    """One factor between result and truth."""
    if "backward" in sample.case.operation.kind and (factor := _ratio(sample, name)) is not None:
        words = f"`{name}` is {factor:g} times what it must be"
        yield Fault("gradient scale or routing", words, looks=_is_scaled, needs=_many)


def _many(trial: Trial, name: str) -> bool:
    return int(np.count_nonzero(trial.results[name])) > 3


def _is_scaled(trial: Trial, name: str) -> bool | None:
    return _ratio(trial, name) is not None if name in trial.wrong else None


def _ratio(trial: Trial, name: str) -> float | None:
    truth = _expect(_TRUTH, trial.case, name, trial.claims)
    actual = trial.results[name].astype(np.float64)
    if truth is None or truth.low.shape != actual.shape:
        return None
    middle = (truth.low + truth.high) / 2
    used = np.isfinite(middle) & (middle != 0)
    factor = float(np.median(actual[used] / middle[used])) if used.any() else 0.0
    if factor in (0.0, 1.0) or not np.isfinite(factor):
        return None
    fine = _explains(trial.results[name], _times(factor, truth, trial.case), trial.case, trial.claims)
    return factor if fine else None


def _times(factor: float, e: Expect, case: Case) -> Expect:
    u = 8 * format_of(case.dtype).unit_roundoff
    ends = e.low * factor, e.high * factor
    low, high = np.minimum(*ends), np.maximum(*ends)
    return replace(e, low=low - u * np.abs(low), high=high + u * np.abs(high))


def _single_taps(sample: Trial, name: str) -> Iterator[Fault]:
    """Each single tap of each channel, in calls of these shapes."""
    operand = "weight" if "weight" in sample.case.operands else "in2"
    if operand not in sample.case.operands or name in ("grad_weight", "grad_bias"):
        return
    shape = sample.case.operands[operand].shape
    inner = shape[1:] if operand == "weight" else shape
    if not 1 < prod(inner) <= 64:
        return
    for where in np.ndindex(*inner):
        at = (slice(None), *where) if operand == "weight" else where
        for kind, words, factor in (("dropped tap", "leaves out", 0), ("doubled tap", "counts twice", 2)):
            edit = partial(_edit, operand, partial(_scaled, factor, at))
            yield Fault(kind, f"{words} tap {where} of `{operand}`", edit, here=True)


def _structure(case: Case, name: str, search: _Search, judged: Judged) -> Iterator[Fault]:
    if case.operation.rank:
        yield from _geometric(case)
    else:
        yield from _modes(case)
    yield from _operands(case)
    yield from _result(case)
    yield from _gradients(case)
    yield from _found(case, name, search, judged)


def _modes(case: Case) -> Iterator[Fault]:
    """Signals: other crops of the full result."""
    for words, kind, crop in _CROPS:
        yield Fault(kind, words, _full, partial(_recropped, crop))


def _full(case: Case) -> Case | None:
    if case.settings["mode"] != "same":
        return None
    return replace(case, arguments={"mode": "full"})


def _recropped(crop: Callable[[Sizes, Sizes], Any], form: Form, case: Case) -> Form:
    n, m = case.operands["in1"].shape, case.operands["in2"].shape
    return _arranged(lambda a, c: a[crop(n, m)], form, case)


def _late(n: Sizes, m: Sizes) -> Any:
    return tuple(slice(j // 2, j // 2 + i) for i, j in zip(n, m, strict=True))


def _larger(n: Sizes, m: Sizes) -> Any:
    sizes = tuple(max(i, j) for i, j in zip(n, m, strict=True))
    starts = tuple((min(i, j) - 1) // 2 for i, j in zip(n, m, strict=True))
    return tuple(slice(s, s + k) for s, k in zip(starts, sizes, strict=True))


_CROPS: tuple[tuple[str, str, Callable[[Sizes, Sizes], Any]], ...] = (
    ('starts the middle of mode "same" one place too late', "shifted", _late),
    ('gives mode "same" the size of the larger operand', "output size rule", _larger),
)


# ----------------------------------------------------------------------------------------------- precision


def _truncated(fmt: Format, values: Any) -> Any:
    unit = fmt.ulp(values)
    return np.trunc(values / unit) * unit


def _away(fmt: Format, values: Any) -> Any:
    unit = fmt.ulp(values)
    return np.copysign(np.floor(np.abs(values) / unit + 0.5) * unit, values)


_ROUNDINGS: tuple[tuple[str, Callable[[Format, Any], Any]], ...] = (
    ("rounds", lambda fmt, values: fmt.round(values)),
    ("rounds (ties away from zero)", _away),
    ("cuts", _truncated),
)


def _precision(case: Case, name: str, search: _Search, judged: Judged) -> Iterator[Fault]:
    own = format_of(case.dtype)
    narrower = [f for f in FORMATS.values() if f.precision < own.precision]
    yield Fault("flush to zero", "takes subnormal numbers for zero", claims={"subnormals": "ftz"})
    if own.precision < 24:
        yield Fault("bias", "rounds before the bias is added", claims={"epilogue": "separate"})
    yield from _rounded_operands(case, name, narrower)
    for fmt in (*narrower, own):
        for words, rounding in _ROUNDINGS:
            if not (fmt is own and words == "rounds"):
                after = partial(_stored, fmt, rounding)
                yield Fault("low-precision output", f"{words} the result to {fmt.name}", after=after)
    if case.operation.kind == "max_pool":
        return
    half = FORMATS["float16"].max
    yield Fault("overflow", f"clips operands at {half:g}", form=partial(_clipped, half))
    yield Fault("overflow", f"gives infinity beyond {half:g}", after=partial(_beyond, half, np.inf))
    yield Fault("overflow", f"clips results at {half:g}", after=partial(_beyond, half, half))
    for label in ("float32", "float16", "bfloat16"):
        if FORMATS[label].precision < bound.accumulator(case.dtype, judged.claims(case)).precision:
            form = partial(_narrow, FORMATS[label]) if label == "float32" else None
            words = f"carries sums in {FORMATS[label].precision} bits ({label})"
            yield Fault(
                "low-precision accumulator",
                words,
                form=form,
                claims={"accumulate": label},
                needs=partial(_coarse, label),
            )
    for algorithm in ("winograd(2,3)", "winograd(4,3)", "winograd(6,3)", "fft"):
        words = f"computes by {algorithm} without claiming it"
        yield Fault("transform", words, claims={"algorithm": algorithm}, needs=_leaks if algorithm == "fft" else None)


_SIDES: dict[str, tuple[str, str]] = {
    "conv": ("input", "weight"),
    "conv_transpose": ("input", "weight"),
    "grad_input": ("grad_output", "weight"),
    "grad_weight": ("grad_output", "input"),
    "grad_bias": ("grad_output", ""),
    "convolve": ("in1", "in2"),
    "correlate": ("in1", "in2"),
}


def _rounded_operands(case: Case, name: str, narrower: Sequence[Format]) -> Iterator[Fault]:
    kind = case.operation.kind
    left, right = _SIDES.get(name if kind == "conv_backward" else kind, (case.operation.operands[0], ""))
    sides = [(True, False, f"`{left}`")]
    if right:
        sides += [(False, True, f"`{right}`"), (True, True, "the operands")]
    for fmt, (words, rounding), (a, b, which) in product(narrower, _ROUNDINGS, sides):
        said = f"{words} {which} to {fmt.name}"
        if kind == "max_pool":
            bend = partial(_edit, "input", partial(_rounded_array, fmt, rounding))
            yield Fault("low-precision inputs", said, bend)
        else:
            yield Fault("low-precision inputs", said, form=partial(_rounded, fmt, rounding, a, b))


def _rounded_array(fmt: Format, rounding: Callable[[Format, Any], Any], a: Any, case: Case) -> Any:
    return rounding(fmt, a.astype(np.float64)).astype(a.dtype)


def _rounded(
    fmt: Format, rounding: Callable[[Format, Any], Any], a: bool, b: bool, form: Form, case: Case
) -> Form | None:
    left = rounding(fmt, form.a) if a else form.a
    right = rounding(fmt, form.b) if b else form.b
    return replace(form, a=left, b=right) if np.isfinite(left).all() and np.isfinite(right).all() else None


def _clipped(limit: float, form: Form, case: Case) -> Form:
    return replace(form, a=np.clip(form.a, -limit, limit))


def _beyond(limit: float, value: float, e: Expect, case: Case) -> Expect:
    return e.map(lambda a: np.where(np.abs(a) > limit, np.copysign(value, a), a))


def _narrow(fmt: Format, form: Form, case: Case) -> Form:
    addend = None if form.addend is None else fmt.round(form.addend)
    return replace(form, a=fmt.round(form.a), b=fmt.round(form.b), addend=addend, precision=min(24, form.precision))


def _stored(fmt: Format, rounding: Callable[[Format, Any], Any], e: Expect, case: Case) -> Expect:
    with np.errstate(all="ignore"):
        return Expect(rounding(fmt, e.low), rounding(fmt, e.high), stored=True, fits=fmt)


def _coarse(label: str, trial: Trial, name: str) -> bool:
    """Somewhere the error is as large as roundings of the format make it."""
    form = exact.forms(trial.case)[name]
    if form.terms.max(initial=0) > 256:  # there the bound leaves room for a lost product
        return False
    truth = exact.value(form)
    size = (form.magnitude + (0 if form.addend is None else np.abs(form.addend))) / np.asarray(form.divisor)
    error = np.abs(trial.results[name].astype(np.float64) - truth.high)
    return bool((error > FORMATS[label].unit_roundoff / 8 * size / np.maximum(form.terms, 1)).any())


def _leaks(trial: Trial, name: str) -> bool:
    """Something comes out where nothing is summed."""
    form = exact.forms(trial.case)[name]
    nothing = form.magnitude + (0 if form.addend is None else np.abs(form.addend)) == 0
    return bool((trial.results[name][nothing] != 0).any())
