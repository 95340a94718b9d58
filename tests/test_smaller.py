"""Smaller calls are legal, smaller, and lead from any call down to the smallest."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refconv import exact
from refconv.judge import Violation
from refconv.shrink import simplify
from refconv.smaller import steps
from refconv.spec import OPERATIONS, Case
from refconv.strategies import cases

EVERY = sorted(OPERATIONS)


def _measures(case):
    """What goes down, the first that changes deciding: lengths of axes, operands, arguments, their numbers, layout."""
    spec = {} if case.operation.rank == 0 else vars(case.pool if "pool" in case.operation.kind else case.conv)
    if case.operation.kind == "conv_transpose":
        spec = {**spec, "output_padding": case.output_padding}
    numbers = sum(int(np.sum(v)) for name, v in spec.items() if name in case.arguments)
    axes = sum(sum(a.shape) for name, a in case.operands.items() if name not in ("grad_output", "bias"))
    return axes, len(case.operands), len(case.arguments), numbers, case.layout != "contiguous"


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_candidates_are_legal_and_smaller(name, data):
    """The judge itself accepts each: it has an exact value of the right shape."""
    case = data.draw(cases(name))
    for step in steps(case):
        for number, candidate in enumerate(step(case)):
            assert _measures(candidate) < _measures(case), (case, candidate)
            if number > 1:  # the boldest are enough
                continue
            values = exact.values(candidate, {} if candidate.operation.kind == "max_pool" else exact.forms(candidate))
            assert {n: v.high.shape for n, v in values.items()} == candidate.shapes
            assert all(
                a.flags["C_CONTIGUOUS"] and a.dtype == case.operands[n].dtype for n, a in candidate.operands.items()
            )


@pytest.mark.parametrize("name", EVERY)
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_where_every_call_fails_the_smallest_is_found(name, data):
    """One element of each operand, and no argument but those that must be given."""
    case = data.draw(cases(name).filter(lambda case: all(a.size for a in case.operands.values())))
    found = simplify(Violation("wrong", case), lambda c: Violation("wrong", c), tries=2000, shapes=True).case
    assert all(a.size == 1 for a in found.operands.values()) and "bias" not in found.operands
    assert found.arguments in ({}, {"kernel_size": 1}, {"kernel_size": (1,) * found.operation.rank})
    assert found.layout == "contiguous"


def _conv(rng, **arguments):
    shapes = {"input": (3, 8, 9, 12), "weight": (12, 2, 3, 2)}
    operands = {name: rng.integers(-9, 9, shape).astype(np.float64) for name, shape in shapes.items()}
    return Case(OPERATIONS["conv2d"], operands, {"stride": (2, 3), "padding": 1, "groups": 4, **arguments}, "float64")


@pytest.mark.parametrize(
    ("condition", "sizes"),
    [
        (lambda c: c.operands["input"].shape[0] > 1, {"input": 2, "weight": 1}),
        (lambda c: c.conv.groups > 1 and c.operands["weight"].shape[0] // c.conv.groups > 1, {"input": 2, "weight": 4}),
        (lambda c: c.operands["weight"].shape[3] > 1 and c.conv.stride[1] > 1, {"input": 1, "weight": 2}),
        (lambda c: c.operands["input"].shape[1] // c.conv.groups > 1, {"input": 2, "weight": 2}),
    ],
    ids=["images", "outputs of groups", "kernel and stride", "channels of a group"],
)
def test_what_the_failure_needs_stays(condition, sizes):
    """And nothing else does."""
    case = _conv(np.random.default_rng(0))

    def fails(candidate):
        return Violation("wrong", candidate) if condition(candidate) else None

    found = simplify(Violation("wrong", case), fails, tries=1000, shapes=True).case
    assert condition(found)
    assert {name: a.size for name, a in found.operands.items()} == sizes


def test_channels_of_a_group_stay_together():
    """A cut call computes the cut result: whole groups are taken, or the same members of each."""
    case = _conv(np.random.default_rng(1))
    whole = exact.values(case, exact.forms(case))["output"].high
    groups, ins, outs = steps(case)[1:4]
    for candidate in groups(case):
        kept = candidate.operands["weight"].shape[0]
        got = exact.values(candidate, exact.forms(candidate))["output"].high
        starts = [s for s in range(0, 13 - kept, 3) if np.array_equal(got, whole[:, s : s + kept])]
        assert starts, candidate
    for candidate in outs(case):
        got = exact.values(candidate, exact.forms(candidate))["output"].high
        rows = got.shape[1] // 4
        split = whole.reshape(3, 4, 3, *whole.shape[2:])
        cut = got.reshape(3, 4, rows, *whole.shape[2:])
        assert any(np.array_equal(cut, split[:, :, s : s + rows]) for s in range(4 - rows))
    assert [c.operands["input"].shape[1] for c in ins(case)] == [4, 4]


def test_reasons_may_name_other_numbers():
    """A wrong shape is a wrong shape on smaller calls too; another reason is another failure."""
    case = _conv(np.random.default_rng(2))

    def shape(candidate):
        return Violation(f"`output` has shape {candidate.shapes['output']}", candidate)

    assert simplify(shape(case), shape, tries=1000, shapes=True).case.operands["input"].size == 1

    def other(candidate):
        return Violation("something else", candidate)

    assert simplify(shape(case), other, shapes=True).case is case


def test_a_case_without_elements_stays():
    """An empty batch has nothing to cut there, and stays legal."""
    x, w = np.zeros((0, 2, 4)), np.ones((2, 2, 3))
    case = Case(OPERATIONS["conv1d"], {"input": x, "weight": w}, {}, "float64")
    found = simplify(Violation("wrong", case), lambda c: Violation("wrong", c), tries=500, shapes=True).case
    assert found.operands["input"].shape == (0, 1, 1) and found.operands["weight"].shape == (1, 1, 1)
