"""Arithmetic on intervals, integers that keep sums exact, derived calls, and windows of a pooling."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from refconv import exact, relations, strategies
from refconv.claims import Claims
from refconv.judge import Interval, Violation, enclosures
from refconv.law import Judged
from refconv.spec import OPERATIONS, Case
from refconv.strategies import Scope
from refconv.subject import Declined, Subject

FLOATS = st.floats(-1e200, 1e200)
KINDS = ("conv1d", "conv2d", "conv_transpose2d", "max_pool2d", "avg_pool2d", "convolve")


def holds(interval, truth, exactly):
    """The interval contains the rational number; where float64 holds it, nothing else."""
    low, high = Fraction(float(interval.low)), Fraction(float(interval.high))
    assert low <= truth <= high
    assert not exactly or low == high


def representable(truth):
    try:
        return Fraction(float(truth)) == truth
    except OverflowError:
        return False


# ------------------------------------------------------------------------------------------------ intervals


@given(FLOATS, FLOATS)
def test_sums_and_differences_round_outwards(a, b):
    x, y = Interval.point(a), Interval.point(b)
    holds(x + y, Fraction(a) + Fraction(b), representable(Fraction(a) + Fraction(b)))
    holds(x - y, Fraction(a) - Fraction(b), representable(Fraction(a) - Fraction(b)))


@given(st.floats(-1e100, 1e100), st.floats(-1e100, 1e100))
def test_products_and_quotients_round_outwards(a, b):
    normal = min(abs(a), abs(b)) > 1e-100
    truth = Fraction(a) * Fraction(b)
    holds(Interval.point(a) * b, truth, not a or not b or (normal and representable(truth)))
    if normal:
        truth = Fraction(a) / Fraction(b)
        holds(Interval.point(a) / b, truth, representable(truth))


@given(st.lists(FLOATS, max_size=9))
def test_a_sum_holds_the_exact_sum(values):
    found = Interval.point(np.array(values, dtype=np.float64)).sum()
    truth = sum(map(Fraction, values), Fraction(0))
    assert found.low.shape == found.high.shape == ()
    holds(found, truth, False)


def test_a_sum_of_integers_is_a_point_along_any_axes():
    values = np.random.default_rng(0).integers(-9, 9, (3, 5, 1, 4)).astype(np.float64)
    for axis in (None, 0, -1, (1, 3), (0, 1, 2, 3)):
        found = Interval.point(values).sum(axis)
        np.testing.assert_array_equal(found.low, values.sum(axis))
        np.testing.assert_array_equal(found.high, values.sum(axis))
    assert Interval.point(np.zeros((0, 2))).sum(0).low.tolist() == [0, 0]


def test_what_is_unknown_stays_unknown():
    every, one = Interval(np.array(-np.inf), np.array(np.inf)), Interval.point(1.0)
    for found in (every + one, one - every, every * -2, every / 3, (every + every).sum()):
        assert (float(found.low), float(found.high)) == (-np.inf, np.inf)
    assert float((every * 0).low) == float((every * 0).high) == 0
    assert np.isnan((Interval.point(np.nan) + one).low)


def test_a_negative_factor_exchanges_the_ends():
    found = Interval(np.array([-1.0, 2.0]), np.array([3.0, 4.0])) * np.array([-2, 0.5])
    assert found.low.tolist() == [-6, 1] and found.high.tolist() == [2, 2]


def test_parts_agree_one_by_one():
    left, right = relations.points(np.array([1 + 2j])), relations.points(np.array([1 + 3j]))
    assert set(left) == {"output.real", "output.imag"}
    case = Case(OPERATIONS["convolve"], {}, {}, "complex128")
    relations.agree(left, left, case, "differ")
    with pytest.raises(Violation, match="differ"):
        relations.agree(left, right, case, "differ")


def test_joined_puts_intervals_behind_one_another():
    parts = [Interval.point(np.zeros((2, 1))), Interval(np.ones((2, 2)), np.full((2, 2), 2.0))]
    found = relations.joined(parts, axis=1)
    assert found.low.tolist() == [[0, 1, 1]] * 2 and found.high.tolist() == [[0, 2, 2]] * 2


def test_whole_numbers():
    case = Case(OPERATIONS["convolve"], {}, {}, "complex64")
    near = {name: Interval(i.low - 0.3, i.high + 0.3) for name, i in relations.points(np.array([2 - 7j])).items()}
    found = relations.whole_numbers(near, case)
    assert relations.as_operand(found, case).tolist() == [2 - 7j]
    with pytest.raises(Declined, match="more than one"):
        relations.whole_numbers({"output": Interval(np.array([0.0]), np.array([1.0]))}, case)
    with pytest.raises(Violation, match="no integer"):
        relations.whole_numbers({"output": Interval(np.array([0.2]), np.array([0.4]))}, case)


def test_a_maximum_is_a_point_where_others_are_cells():
    maximum = Judged(Subject("mine", {"max_pool1d": lambda x, kernel_size: x}), OPERATIONS["max_pool1d"])
    x = np.ones((1, 1, 2), "float16")
    case = Case(OPERATIONS["max_pool1d"], {"input": x}, {"kernel_size": 1}, "float16")
    found = relations.ask(maximum, case)["output"]
    assert found.low.tolist() == found.high.tolist() == [[[1, 1]]]


# --------------------------------------------------------------------------------------------------- cases


def drawn_from(strategy, condition=lambda case: True):
    return find(strategy, condition, settings=settings(database=None, max_examples=200, derandomize=True))


def test_drawn_leaves_the_users_arguments_alone():
    strategy = relations.drawn(families=("ties",), fix={"batch": 2, "stride": 1})
    case = drawn_from(strategy(OPERATIONS["max_pool2d"], Scope(fix={"stride": 2})))
    assert case.operands["input"].shape[0] == 2 and case.pool.stride == (2, 2) and case.family == "ties"


@pytest.mark.parametrize("name", KINDS)
@settings(max_examples=30, deadline=None, derandomize=True)
@given(st.data())
def test_sums_of_fresh_integers_are_exact(name, data):
    dtypes = ("complex64", "complex128") if name == "convolve" else strategies.DTYPES
    case = data.draw(relations.whole(OPERATIONS[name], Scope(dtypes=dtypes)))
    new = relations.fresh(case, 1)
    assert {n: a.shape for n, a in new.operands.items()} == {n: a.shape for n, a in case.operands.items()}
    if "avg" not in name and case.dtype in ("float32", "float64"):
        right = exact.values(new)["output"].high.astype(case.dtype)
        found = enclosures({"output": right}, new, Claims())["output"]
        np.testing.assert_array_equal(found.low, found.high)
    assert max(np.abs(a.astype(complex).real).max() for a in new.operands.values()) <= relations.largest(new)


def test_fresh_replaces_shapes_and_arguments():
    case = drawn_from(relations.whole(OPERATIONS["conv1d"], Scope()), lambda case: "bias" in case.operands)
    new = relations.fresh(case, 0, {}, input=(5, *case.operands["input"].shape[1:]), bias=None)
    assert new.operands["input"].shape[0] == 5 and "bias" not in new.operands and not new.arguments


def test_small_integers():
    x = np.array([[[0.75, -1.5, 6.0]]], "float32")
    case = Case(OPERATIONS["max_pool1d"], {"input": x}, {"kernel_size": 1}, "float32")
    assert relations.small(case).operands["input"].tolist() == [[[3, -2, 0]]]


# ------------------------------------------------------------------------------------------------- windows


@pytest.mark.parametrize("name", ["max_pool1d", "max_pool2d", "max_pool3d", "avg_pool2d"])
@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.data())
def test_windows_are_those_of_the_definition(name, data):
    """Maxima and counts of the gathered cells are the exact ones."""
    case = data.draw(strategies.cases(name, Scope(pairs=True, dtypes=("float32",))))
    x = case.operands["input"].astype(np.float64)
    size, out = x.shape[2:], case.shapes["output"]
    cells = relations.windows(case, x, -np.inf)
    assert cells.shape == (*out, int(np.prod(case.pool.kernel_size)))
    if name.startswith("max"):
        np.testing.assert_array_equal(cells.max(axis=-1), exact.window_maximum(case))
    seen = relations.reads(case, out[2:], size)
    inside = relations.outer([axis.sum(axis=1) for axis in seen])
    counted = relations.windows(case, np.ones_like(x), 0).sum(axis=-1)
    np.testing.assert_array_equal(counted, np.broadcast_to(inside, out))
    if name.startswith("avg"):
        ours = relations.window_counts(case)
        np.testing.assert_array_equal(ours[0], inside)
        np.testing.assert_array_equal(ours[1], exact.window_counts(case))


def test_the_hull_holds_what_dilation_steps_over():
    x = np.zeros((1, 1, 5), "float32")
    case = Case(OPERATIONS["max_pool1d"], {"input": x}, {"kernel_size": 2, "stride": 1, "dilation": 2}, "float32")
    taps, all_cells = (relations.reads(case, (3,), (5,), hull)[0] for hull in (False, True))
    assert taps[0].tolist() == [True, False, True, False, False]
    assert all_cells[0].tolist() == [True, True, True, False, False]
