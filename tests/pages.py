"""Verdicts for the tests of the page: judged ones, and one whose every word wants to be more than text."""

from __future__ import annotations

from collections import Counter
from functools import cache

import numpy as np

import refconv
from refconv import judge, verdict
from refconv.diagnosis.kinds import Diagnosis
from refconv.judge import Violation
from refconv.law import Effort, Judged, Record
from refconv.spec import OPERATIONS, Case
from refconv.strategies import Scope
from refconv.subject import Subject
from refconv.verdict import CENTRAL, Verdict
from tests import score

HOSTILE = (
    "<script>window.ran = 1</script>",
    '"><img src=x onerror="window.ran = 1">',
    "'><svg onload='window.ran = 1'>",
    "</style><style>body { display: none }</style>",
    "</title></pre><h1>VERDICT: correct</h1>",
    "javascript:window.ran=1//\x00\x1b[31mred\x1b[0m",
    "\u202egnirts desrever\u2066\u200b\ufeff",
    "\ud800 {{ 7 * 7 }} {% raw %} &lt;b&gt; &#x3c;",
)


def flipped(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """A convolution that reads its kernel backwards on both axes."""
    turned = np.ascontiguousarray(weight[..., ::-1, ::-1])
    return refconv.conv2d(input, turned, bias, stride, padding, dilation, groups)


@cache
def judged(name: str) -> Verdict:
    """`correct` or `wrong`, by the central law and what finds precision and sensitivity out."""
    function = {"correct": refconv.conv2d, "wrong": flipped}[name]
    subject = Subject(f"{name}.py:conv2d", {"conv2d": function})
    one = Judged(subject, OPERATIONS["conv2d"], Effort(examples=8))
    chosen = [rule for rule in score.laws() if rule.__module__ == "test_oracle"]
    (found,) = verdict.judge([subject], [rule.run(one) for rule in chosen], profile="quick", seconds=1.0)
    return found


def case(name: str = "conv2d", dtype: str = "float32", **arguments: object) -> Case:
    """A call with values that JSON and drawings have no number for."""
    x = np.arange(-12.0, 13.0).reshape(1, 1, 5, 5)
    x[0, 0, 1, :3] = np.nan, np.inf, -np.inf
    w = np.array([1.0, -0.0, 2.5e-30, 3.0]).reshape(1, 1, 2, 2)
    return Case(OPERATIONS[name], {"input": x.astype(dtype), "weight": w.astype(dtype)}, arguments, dtype)


def violation(of: Case, got: np.ndarray, exact: np.ndarray) -> Violation:
    """What `judge.within` would say of an output, were nothing allowed."""
    wrong = got != exact
    at = tuple(int(i) for i in np.argwhere(wrong)[0])
    compared = {"got": got, "exact": exact, "allowed": np.zeros(got.shape), "wrong": wrong}
    return Violation(
        "`output` is outside the allowed error", of, result="output", index=at, got=float(got[at]),
        exact=float(exact[at]), allowed=0.0, wrong=int(wrong.sum()), of=wrong.size, compared=compared,
    )  # fmt: skip


def large() -> Verdict:
    """Wrong in one element of a large result, far from where an array begins."""
    rng = np.random.default_rng(0)
    x, w = rng.normal(size=(2, 8, 96, 96)).astype(np.float32), rng.normal(size=(16, 8, 7, 7)).astype(np.float32)
    of = Case(OPERATIONS["conv2d"], {"input": x, "weight": w}, {"stride": 2, "padding": 3}, "float32")
    exact = judge.expect(of, Subject("", {}).claims).truth["output"].high
    got = exact.copy()
    got[1, 9, 40, 37] += 1000
    return _verdict("large.py", [record(CENTRAL, "conv2d", "violated", violation=violation(of, got, exact))])


def hostile() -> Verdict:
    """Names, reasons, outputs and diagnoses that are markup, code for a terminal, or without end."""
    bad = "".join(HOSTILE)
    shown = case(padding=(1, 0))
    got = np.full(shown.shapes["output"], np.nan)
    found = violation(shown, got, np.full(got.shape, np.inf))
    found.reason, found.printed = f"raised ValueError: {bad}", f"{bad}\n" * 1000 + "x" * 10_000_000
    records = [
        record(CENTRAL, "conv2d", "violated", violation=found, folder=bad.replace("\0", ""), errors=Counter({0: 1})),
        record(f"law_{bad}", "conv2d", "violated", violation=Violation(bad * 1000)),
        record("no_more", "max_pool2d", "unverified", declined=9, cases=9, reasons=Counter({bad: 5, bad * 999: 4})),
    ]
    records[0].diagnosis = Diagnosis(bad, bad, bad)
    return _verdict(bad, records, Scope(fix={"padding": bad}))


def record(law: str, operation: str, status: str, **found: object) -> Record:
    made = Record(law, "oracle", "", "", operation, True, status=status, **found)
    made.statement = f"`{law}` holds."
    return made


def _verdict(name: str, records: list[Record], scope: Scope | None = None) -> Verdict:
    subject = Subject(name, {"conv2d": flipped, "max_pool2d": refconv.max_pool2d}, scope=scope or Scope())
    return Verdict(subject, records, profile="quick")
