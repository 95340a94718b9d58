"""The values of a failing case are brought down to zeros and ones, and still fail."""

import math
import time
from functools import partial

import numpy as np
import pytest

from refconv.dtypes import numpy_dtype
from refconv.judge import Violation
from refconv.shrink import earlier, simplify
from refconv.spec import OPERATIONS, Case

DTYPES = ["float32", "float64", "bfloat16", "complex64", "int8"]


def _case(x, w=(1, 2), dtype="float64"):
    x, w = np.asarray(x), np.asarray(w)
    return Case(
        OPERATIONS["convolve"], {"in1": x.astype(numpy_dtype(dtype)), "in2": w.astype(numpy_dtype(dtype))}, {}, dtype
    )


def _far(weights, limit, values):
    return abs(values @ weights) > limit


def _search(case, condition, tries=250, reason="wrong"):
    """Simplifies, counting calls, where cases fail that meet the condition."""
    calls = []

    def fails(candidate):
        calls.append(candidate)
        return Violation(reason, candidate) if condition(candidate.operands["in1"]) else None

    return simplify(Violation("wrong", case), fails, tries=tries), calls


@pytest.mark.parametrize("dtype", DTYPES)
def test_where_anything_fails_all_is_zero(dtype):
    """Every value that plays no part becomes zero."""
    found, _ = _search(_case([3, -7, 100, 5], dtype=dtype), lambda x: True)
    assert not any(a.any() for a in found.case.operands.values())
    assert all(a.dtype == numpy_dtype(dtype) for a in found.case.operands.values())


@pytest.mark.parametrize("dtype", DTYPES)
def test_what_plays_a_part_becomes_one(dtype):
    """One element must not be zero."""
    found, _ = _search(_case([3, -7, 100, 5], dtype=dtype), lambda x: x[2] != 0)
    assert found.case.operands["in1"].tolist() == [0, 0, 1, 0]


@pytest.mark.parametrize(
    ("condition", "want"),
    [
        (lambda x: x.sum() > 1, {2}),
        (lambda x: x[0] < 0, {-1}),
        (lambda x: x[0] < 0 < x[3], {-1, 1}),
        (lambda x: np.count_nonzero(x) >= 3, {1}),
        (lambda x: x[1] == 0.3, {0.3}),
        (lambda x: abs(x[2]) > 50, {100.7}),
    ],
    ids=["sum", "sign", "signs", "three", "fraction", "large"],
)
def test_what_is_needed_stays(condition, want):
    """Small integers where they fail too, the value itself where only it does."""
    found, _ = _search(_case([-3.5, 0.3, 100.7, 5]), condition)
    x = found.case.operands["in1"]
    assert condition(x)
    assert set(x.tolist()) - {0} <= want | {1}


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, -0.0, 5e-324, 1.7e308])
def test_special_values(value):
    """They stay where they are what fails, go where they are not, and the search ends."""
    case = _case([2, value, 3])
    found, calls = _search(case, lambda x: x[1].tobytes() == np.float64(value).tobytes())
    assert found.case.operands["in1"][[0, 2]].tolist() == [0, 0] and len(calls) < 100
    found, _ = _search(case, lambda x: True)
    assert not any(a.any() for a in found.case.operands.values())


def test_tries_are_respected():
    """Not one call more."""
    case = _case(np.arange(1.0, 200.0))
    for tries in (0, 1, 7, 50):
        found, calls = _search(case, lambda x: x[5] == 6, tries)
        assert len(calls) == tries
        assert found.case.operands["in1"][5] == 6


def test_another_reason_is_another_failure():
    """A candidate that breaks for another reason is not taken."""
    case = _case([3.5, 4])
    found, calls = _search(case, lambda x: True, reason="another")
    assert calls and found.case is case


def test_the_result_always_fails():
    """Whatever the condition, the case found meets it and no value of it is less plain than before."""
    rng = np.random.default_rng(0)
    for _ in range(30):
        x = rng.normal(size=6) * 10.0 ** rng.integers(-3, 4)
        weights, limit = rng.normal(size=6), 0.0
        limit = abs(x @ weights) / 2
        condition = partial(_far, weights, limit)
        found, _ = _search(_case(x), condition)
        assert condition(found.case.operands["in1"])
        assert np.count_nonzero(found.case.operands["in1"]) <= 6
        assert not found.case.operands["in2"].any()


def test_nothing_to_simplify():
    """No case, no elements, all zero: the violation comes back."""
    without = Violation("wrong")
    assert simplify(without, lambda case: None) is without
    for x, w in (([], []), ([0, 0], [0])):
        case = _case(x, w)
        found, calls = _search(case, lambda x: True)
        assert found.case is case and not calls


# ------------------------------------------------------------------------------------------- calls before


def _calls(count):
    return [_case([float(i)]) for i in range(count)]


@pytest.mark.parametrize("needed", [(), (9,), (0,), (3, 4), (0, 5, 9)], ids=str)
def test_the_fewest_calls_before_are_found(needed):
    """Those that are needed and no other, in their order, wherever they are."""
    calls = _calls(10)
    wanted = [calls[i] for i in needed]

    def fails(kept):
        return all(any(call is w for call in kept) for w in wanted)

    found = earlier(calls, fails, math.inf)
    assert len(found) == len(wanted) and all(a is b for a, b in zip(found, wanted, strict=True))


def test_calls_before_that_do_not_explain_it():
    """None are named, nor after the time is up."""
    assert earlier(_calls(5), lambda kept: False, math.inf) is None
    assert earlier([], lambda kept: False, math.inf) is None
    assert earlier(_calls(5), lambda kept: True, time.perf_counter() - 1) is None
