"""For each judge, what it accepts and what it rejects."""

import numpy as np
import pytest

from refconv import exact, judge
from refconv.claims import Claims
from refconv.dtypes import numpy_dtype
from refconv.judge import Interval, Violation
from refconv.spec import OPERATIONS, Case

INF, NAN = np.inf, np.nan


def conv(x=(1, 2, 3), w=(1, 1), dtype="float32", bias=None):
    operands = {"input": np.array([[x]], dtype=numpy_dtype(dtype)), "weight": np.array([[w]], dtype=numpy_dtype(dtype))}
    if bias is not None:
        operands["bias"] = np.array([bias], dtype=numpy_dtype(dtype))
    return Case(OPERATIONS["conv1d"], operands, {}, dtype)


def out(values, dtype="float32"):
    return {"output": np.array([[values]], dtype=numpy_dtype(dtype))}


def passes(function, *arguments):
    try:
        function(*arguments)
    except Violation:
        return False
    return True


def up(value, dtype="float32", steps=1):
    for _ in range(abs(steps)):
        value = np.nextafter(np.dtype(dtype).type(value), np.dtype(dtype).type(np.sign(steps) * np.inf))
    return float(value)


# Sums 3 and 5, exactly representable in every order: nothing is allowed.
EXACT = conv()
# One product with 24-bit factors, one rounding: between 0.29 and 1 unit in the last place.
ROUNDED = conv((1.1, -2.3), (1.7,))
NEAREST = (np.float32(1.1) * np.float32(1.7), np.float32(-2.3) * np.float32(1.7))
ZERO = conv((0, 0, 0))
CANCELS = conv((1, -1, 0))

WITHIN = [
    ("exact", EXACT, (3, 5), True),
    ("one unit off", EXACT, (3, up(5)), False),
    ("not a number", EXACT, (3, NAN), False),
    ("all not a number", EXACT, (NAN, NAN), False),
    ("infinite", EXACT, (3, INF), False),
    ("minus infinite", EXACT, (-INF, 5), False),
    ("zero", EXACT, (0, 0), False),
    ("sign", EXACT, (3, -5), False),
    ("nearest", ROUNDED, NEAREST, True),
    ("two units off", ROUNDED, (up(NEAREST[0], steps=2), NEAREST[1]), False),
    ("two units off below", ROUNDED, (NEAREST[0], up(NEAREST[1], steps=-2)), False),
    ("zero of zeros", ZERO, (0, 0), True),
    ("minus zero of zeros", ZERO, (-0.0, 0), True),
    ("smallest subnormal of zeros", ZERO, (1e-45, 0), False),
    ("minus zero of a cancellation", CANCELS, (-0.0, -1), True),
    ("residue of a cancellation", CANCELS, (1e-20, -1), False),
]


@pytest.mark.parametrize(("case", "values", "fine"), [row[1:] for row in WITHIN], ids=[row[0] for row in WITHIN])
def test_within(case, values, fine):
    assert passes(judge.within, out(values), case, Claims()) == fine


def test_within_reports_the_error_in_units_of_the_allowed_one():
    assert judge.within(out((3, 5)), EXACT, Claims()) == 0
    assert 0 < judge.within(out(NEAREST), ROUNDED, Claims()) <= 1


def test_within_names_the_worst_element_with_its_evidence():
    with pytest.raises(Violation) as caught:
        judge.within(out((4, 7)), EXACT, Claims())
    violation = caught.value
    assert (violation.got, violation.exact, violation.allowed) in {(4.0, 3.0, 0.0), (7.0, 5.0, 0.0)}
    assert (violation.wrong, violation.of, violation.case, violation.result) == (2, 2, EXACT, "output")
    for words in (
        "`output` is outside the allowed error",
        "case     conv1d(",
        "(2 of 2 elements wrong)",
        "allowed  0.0",
    ):
        assert words in str(violation)


def test_a_violation_carries_what_was_compared():
    """The whole result, what it must be, and where it is not; the element that is named is one of those."""
    with pytest.raises(Violation) as found:
        judge.within(out((3, 6)), EXACT, Claims())
    compared = found.value.compared
    assert {name: a.tolist() for name, a in compared.items()} == {
        "got": [[[3, 6]]], "exact": [[[3, 5]]], "allowed": [[[0, 0]]], "wrong": [[[False, True]]]
    }  # fmt: skip
    assert compared["wrong"][found.value.index] and compared["wrong"].sum() == found.value.wrong
    with pytest.raises(Violation) as found:
        judge.same_bits(np.array([1.0, 2]), np.array([1.0, 3]), EXACT, "differ")
    assert found.value.compared["expected"].tolist() == [1, 3] and found.value.compared["wrong"].tolist() == [
        False,
        True,
    ]
    with pytest.raises(Violation) as found:
        judge.form(out((3,)), EXACT)
    assert found.value.compared["got"].shape == (1, 1, 1)


@pytest.mark.parametrize(
    ("value", "fine"),
    [(1.0, True), (1.0078125, False), (0.99609375, False), (-1.0, False), (0.0, False), (INF, False), (NAN, False)],
)
def test_within_a_narrower_output_accepts_the_nearest_value_only(value, fine):
    """1 + 2^-9 is exact in the accumulator and rounds to 1 in bfloat16: the neighbours of 1 are wrong."""
    case = conv((1, 2.0**-9), (1, 1), "bfloat16")
    assert passes(judge.within, out((value,), "bfloat16"), case, Claims()) == fine


@pytest.mark.parametrize("value", [2.0**-24, -(2.0**-24), 2.0**-12])
def test_zero_is_told_from_the_smallest_numbers_of_a_narrow_format(value):
    """The cell of zero is half a subnormal wide: a zero kernel does not pass on small sums, nor small sums on zero."""
    small = conv((value,), (1,), "float16")
    assert passes(judge.within, out((value,), "float16"), small, Claims())
    assert not passes(judge.within, out((0.0,), "float16"), small, Claims())
    assert not passes(judge.within, out((value,), "float16"), conv((0,), (1,), "float16"), Claims())


@pytest.mark.parametrize(("value", "fine"), [(INF, True), (65504, False), (-INF, False), (NAN, False)])
def test_within_an_output_that_overflows_its_format_must_be_infinite(value, fine):
    case = conv((60000, 60000), (1, 1), "float16")
    assert passes(judge.within, out((value,), "float16"), case, Claims()) == fine


@pytest.mark.parametrize(("value", "right"), [(INF, 1), (-INF, 1), (NAN, 1), (3e38, 1), (0, 0), (1e38, 0)])
def test_within_overflow_is_accepted_where_some_order_overflows(value, right):
    """3e38 + 3e38 - 3e38 is 3e38 or infinite, according to the order; not a number where infinities meet.
    What is finite has not overflowed: it is judged like any other."""
    case = conv((3e38, 3e38, -3e38), (1, 1, 1))
    assert passes(judge.within, out((value,)), case, Claims()) == bool(right)


def test_complex_results_are_judged_by_their_parts():
    a, b = np.array([1 + 2j, 3]), np.array([2 - 1j])
    case = Case(OPERATIONS["convolve"], {"in1": a, "in2": b}, {}, "complex128")
    right = np.array([4 + 3j, 6 - 3j])
    assert set(judge.parts({"output": right})) == {"output.real", "output.imag"}
    assert passes(judge.within, {"output": right}, case, Claims())
    for wrong in (right.conj(), right + 1e-12, right + 1e-12j, right * NAN, right.real + 0j):
        assert not passes(judge.within, {"output": wrong}, case, Claims())


def test_results_are_judged_each_on_its_own():
    x, w, g = np.ones((1, 1, 3)), np.ones((1, 1, 2)), np.ones((1, 1, 2))
    case = Case(OPERATIONS["conv1d_backward"], {"grad_output": g, "input": x, "weight": w}, {}, "float64")
    right = {k: v.high for k, v in exact.values(case).items()}
    assert passes(judge.within, right, case, Claims())
    for name in right:
        assert not passes(judge.within, {**right, name: right[name] + 2.0**-40}, case, Claims())


# ---------------------------------------------------------------------------------------- the maximum, its gradient

POOL = Case(OPERATIONS["max_pool1d"], {"input": np.array([[[-1.0, 2, INF, 4]]])}, {"kernel_size": 2}, "float64")


@pytest.mark.parametrize(
    ("values", "fine"),
    [((2, INF), True), ((2, 4), False), ((2, NAN), False), ((2, -INF), False), ((up(2, "float64"), INF), False)],
)
def test_a_maximum_is_exact(values, fine):
    assert passes(judge.within, {"output": np.array([[values]], dtype=float)}, POOL, Claims()) == fine


TIED = Case(
    OPERATIONS["max_pool1d_backward"],
    {"grad_output": np.array([[[3.0, -5.0]]]), "input": np.array([[[1.0, 1.0, 0.0, 2.0]]])},
    {"kernel_size": 2},
    "float64",
)
TIES = [
    ((3, 0, 0, -5), True, True),
    ((0, 3, 0, -5), False, True),
    ((1.5, 1.5, 0, -5), False, True),
    ((3, 0, -5, 0), False, False),
    ((4, -1, 0, -5), False, False),
    ((3, 0, 0, 5), False, False),
    ((NAN, 0, 0, -5), False, False),
    ((3, 0, INF, -5), False, False),
]


@pytest.mark.parametrize(("values", "first", "any_of_them"), TIES)
def test_ties(values, first, any_of_them):
    """To the first maximum; or, where `ties=any` is claimed, split among the tied ones."""
    result = {"grad_input": np.array([[values]], dtype=float)}
    assert passes(judge.within, result, TIED, Claims()) == first
    assert passes(judge.within, result, TIED, Claims(ties="any")) == any_of_them


# ---------------------------------------------------------------------------------------------- form and bits


TINY = 1e-39  # a subnormal number of float32


@pytest.mark.parametrize(
    ("values", "either", "kept"),
    [
        ([TINY], True, True),
        ([0], True, False),  # all of them taken for zero
        ([-TINY], True, False),  # the first of those that tie
        ([4 * TINY], False, False),  # no number that is left where these are zeros
        ([3e-38], False, False),
        ([1], False, False),
    ],
)
def test_subnormal_numbers_may_be_taken_for_zero_in_a_maximum(values, either, kept):
    case = Case(
        OPERATIONS["max_pool1d"], {"input": np.array([[[-TINY, TINY]]], "float32")}, {"kernel_size": 2}, "float32"
    )
    assert passes(judge.within, out(values), case, Claims()) == either
    assert passes(judge.within, out(values), case, Claims(subnormals="ieee")) == kept


@pytest.mark.parametrize(
    ("gradient", "either", "kept"), [([0, 5], True, True), ([5, 0], True, False), ([5, 5], False, False)]
)
def test_the_gradient_of_a_maximum_goes_to_the_first_that_ties_where_subnormal_numbers_are_zeros(
    gradient, either, kept
):
    operands = {"grad_output": np.array([[[5]]], "float32"), "input": np.array([[[-TINY, TINY]]], "float32")}
    case = Case(OPERATIONS["max_pool1d_backward"], operands, {"kernel_size": 2}, "float32")
    results = {"grad_input": np.array([[gradient]], "float32")}
    assert passes(judge.within, results, case, Claims()) == either
    assert passes(judge.within, results, case, Claims(subnormals="ieee")) == kept


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((1, 1, 2), "float32"), ""),
        (np.zeros((1, 1, 3), "float32"), "`output` has shape (1, 1, 3), but must have (1, 1, 2)"),
        (np.zeros((1, 2), "float32"), "shape (1, 2)"),
        (np.zeros((1, 1, 2), "float64"), "`output` has dtype float64, but must have float32"),
        (np.zeros((1, 1, 2), "int32"), "dtype int32"),
    ],
    ids=["right", "size", "rank", "wider", "integer"],
)
def test_form(array, words):
    if not words:
        judge.form({"output": array}, EXACT)
        return
    with pytest.raises(Violation) as caught:
        judge.form({"output": array}, EXACT)
    assert words in str(caught.value)


SAME = [
    ([1.0, 2.0], [1.0, 2.0], True),
    ([0.0], [-0.0], True),
    ([NAN, 1.0], [NAN, 1.0], True),
    ([INF], [INF], True),
    ([1.0], [up(1.0)], False),
    ([NAN], [1.0], False),
    ([1.0], [NAN], False),
    ([INF], [-INF], False),
    ([1e-45], [0.0], False),
    ([1.0], [1.0, 1.0], False),
    ([[1.0]], [1.0], False),
    ([1 + 1j], [1 + 1j], True),
    ([1 + 1j], [1 - 1j], False),
    ([], [], True),
]


@pytest.mark.parametrize(("actual", "expected", "fine"), SAME, ids=[str(row[:2]) for row in SAME])
def test_same_bits(actual, expected, fine):
    kind = np.complex64 if any(isinstance(v, complex) for v in actual) else np.float32
    arrays = np.array(actual, kind), np.array(expected, kind)
    assert passes(judge.same_bits, *arrays, EXACT, "differs") == fine
    assert passes(judge.same_bits, *arrays[::-1], EXACT, "differs") == fine


def test_same_bits_shows_the_first_difference():
    with pytest.raises(Violation) as caught:
        judge.same_bits(np.array([1.0, 2.0, 3.0]), np.array([1.0, 5.0, 6.0]), EXACT, "halves differ", "left")
    assert (caught.value.index, caught.value.got, caught.value.exact, caught.value.wrong) == ((1,), 2.0, 5.0, 2)
    assert str(caught.value).startswith("halves differ") and "left[1]" in str(caught.value)


def test_untouched():
    kept = {name: a.copy() for name, a in EXACT.operands.items()}
    judge.untouched(kept, EXACT)
    kept["weight"][0, 0, 1] = up(1)
    with pytest.raises(Violation, match="operand `weight` was changed by the call"):
        judge.untouched(kept, EXACT)


# -------------------------------------------------------------------------------------------------- enclosures


def interval(low, high):
    return Interval(np.array(low, float), np.array(high, float))


OVERLAPS = [
    (([0], [1]), ([0.5], [2]), True),
    (([0], [1]), ([1], [2]), True),
    (([0], [1]), ([up(1, "float64")], [2]), False),
    (([0, 0], [1, 1]), ([0, 2], [1, 3]), False),
    (([0], [0]), ([-0.0], [-0.0]), True),
    (([NAN], [NAN]), ([0], [1]), False),
    (([NAN], [NAN]), ([NAN], [NAN]), False),
    (([-INF], [INF]), ([5], [5]), True),
    (([0], [1]), ([0, 0], [1, 1]), False),
]


@pytest.mark.parametrize(("left", "right", "fine"), OVERLAPS, ids=[f"{a}{b}" for a, b, _ in OVERLAPS])
def test_overlap(left, right, fine):
    a, b = interval(*left), interval(*right)
    assert passes(judge.overlap, a, b, EXACT, "no common value") == fine
    assert passes(judge.overlap, b, a, EXACT, "no common value") == fine


def test_overlap_shows_both_as_plain_numbers():
    with pytest.raises(Violation) as caught:
        judge.overlap(interval(1, 2), interval(3, 4), EXACT, "no common value")
    assert (caught.value.got, caught.value.exact) == ("in [1.0, 2.0]", "in [3.0, 4.0]")


def test_intervals_are_added_negated_scaled_and_rearranged():
    a, b = interval([0, -1], [1, 2]), interval([1, 1], [1, 3])
    for got, low, high in (
        (a + b, [1, 0], [2, 5]),
        (-a, [-1, -2], [0, 1]),
        (a * -2.0, [-2, -4], [0, 2]),
        (a.map(np.flip), [-1, 0], [2, 1]),
        (a.sum(), -1, 3),
    ):
        np.testing.assert_array_equal(got.low, low)
        np.testing.assert_array_equal(got.high, high)


@pytest.mark.parametrize("dtype", ["float32", "float64", "float16", "bfloat16"])
def test_an_enclosure_holds_the_exact_value_of_a_right_result(dtype):
    """And not that of one two units away; where nothing is allowed it is the result itself, or its cell."""
    rng = np.random.default_rng(0)
    case = conv(rng.standard_normal(50), rng.standard_normal(1), dtype)
    truth = exact.values(case)["output"].high
    right = {"output": truth.astype(numpy_dtype(dtype))}
    hull = judge.enclosures(right, case, Claims())["output"]
    assert ((hull.low <= truth) & (truth <= hull.high)).all()
    far = {"output": (right["output"].astype(np.float64) * (1 + 2.0**-6)).astype(numpy_dtype(dtype))}
    hull = judge.enclosures(far, case, Claims())["output"]
    assert not ((hull.low <= truth) & (truth <= hull.high)).any()


def test_an_enclosure_of_an_exact_sum_is_a_point_or_a_cell():
    hull = judge.enclosures(out((3, 5)), EXACT, Claims())["output"]
    assert hull.low.tolist() == hull.high.tolist() == [[[3, 5]]]
    hull = judge.enclosures(out((3, 5), "bfloat16"), conv(dtype="bfloat16"), Claims())["output"]
    assert (hull.low[0, 0, 0], hull.high[0, 0, 0]) == (3 - 2.0**-7, 3 + 2.0**-7)


def test_an_enclosure_is_everything_where_some_order_overflows():
    case = conv((3e38, 3e38, -3e38), (1, 1, 1))
    hull = judge.enclosures(out((INF,)), case, Claims())["output"]
    assert hull.low.item() == -INF and hull.high.item() == INF
    hull = judge.enclosures(out((3e38,)), case, Claims())["output"]
    assert np.isfinite([hull.low, hull.high]).all()


def test_a_violation_is_an_assertion_and_reads_on_its_own():
    assert str(Violation("broken")) == "broken" and issubclass(Violation, AssertionError)
    text = str(Violation("broken", EXACT, result="y", index=(0, 1), got=1.5, exact="any", allowed=0.25, wrong=1, of=4))
    assert text.splitlines()[2:] == ["at       y[0, 1]  (1 of 4 elements wrong)", "got      1.5", "exact    any",
                                     "allowed  0.25"]  # fmt: skip
