"""Pooling: what a maximum and an average of windows must be, seen from the windows themselves.

A maximum is an element of its window and must come out bit for bit; sums of integers are exact in every dtype.
"""

from dataclasses import replace
from math import prod

import numpy as np
from hypothesis import strategies as st

from refconv import judge, strategies
from refconv.dtypes import format_of, numpy_dtype
from refconv.judge import Interval, Violation
from refconv.law import NotApplicable, law
from refconv.relations import (
    PLACES,
    SEEDS,
    drawn,
    given,
    hull,
    integer_cases,
    outer,
    reads,
    window_counts,
    windows,
    without,
)
from refconv.spec import OPERATIONS

# ------------------------------------------------------------------------------------------------- cases

ceil_cases = drawn(fix={"ceil_mode": True})
negative_cases = drawn(families=("negative",))


def _on(case, values):
    """The same call on other values."""
    return case.with_operands(input=np.array(values, order="C").astype(numpy_dtype(case.dtype)))


def _wide(case):
    return case.operands["input"].astype(np.float64)


def _with(case, **arguments):
    """The same input under other arguments; None takes one away."""
    given = {**case.arguments, **arguments}
    return replace(case, arguments={name: value for name, value in given.items() if value is not None})


def _sibling(case, kind):
    """The pooling of the other kind with the same windows."""
    operation = OPERATIONS[f"{kind}_pool{case.operation.rank}d"]
    return replace(case, operation=operation, arguments=without(case, "count_include_pad"))


# ----------------------------------------------------------------------------------------------- windows


def _reaching(case, where):
    """Windows that read the element at `where`, and those whose hull holds it: dilation steps over some."""
    sizes = case.shapes["output"][2:], case.operands["input"].shape[2:]
    both = (reads(case, *sizes, hull=whole) for whole in (False, True))
    return [outer([seen[:, i] for seen, i in zip(axes, where, strict=True)]) for axes in both]


def _element(case, place):
    size = case.operands["input"].shape[2:]
    return tuple(map(int, np.unravel_index(place % max(1, prod(size)), size)))


def _not_above(low, high, case, reason):
    """Every element of `low` is at most that of `high`."""
    wrong = ~(low <= high)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        count = {"wrong": int(wrong.sum()), "of": wrong.size}
        raise Violation(reason, case, result="output", index=at, got=float(low[at]), exact=float(high[at]), **count)


# ----------------------------------------------------------------------------------------------- maximum


def _told(judged, case, values):
    """In float64; numbers that may be compared as zero are zero, unless IEEE's comparison is claimed of them.

    What lies in a window of such numbers is the oracle's to say. This map never falls and is odd, so that whatever
    holds of maxima holds of what it makes of them.
    """
    wide, least = values.astype(np.float64), format_of(case.dtype).smallest_normal
    return wide if judged.claims(case).subnormals == "ieee" else np.where(np.abs(wide) < least, 0.0, wide)


def _maxima(judged, case):
    """A call's result."""
    return _told(judged, case, judged.one(case))


def _cells(judged, case, fill):
    """What each window reads."""
    return windows(case, _told(judged, case, case.operands["input"]), fill)


@law(case=strategies.cases)
def test_maximum_is_an_upper_bound_of_its_window(max_pool, case):
    """No element of a window is larger than its result."""
    out, largest = _maxima(max_pool, case), _cells(max_pool, case, -np.inf).max(axis=-1)
    _not_above(largest, out, case, "an element of a window is larger than its maximum")


@law(case=strategies.cases)
def test_maximum_is_an_element_of_its_window(max_pool, case):
    """Each result is one of the elements of its window, bit for bit."""
    out = _maxima(max_pool, case)
    wrong = ~(_cells(max_pool, case, np.nan) == out[..., None]).any(axis=-1)
    if wrong.any():
        at = tuple(int(i) for i in np.argwhere(wrong)[0])
        counts = {"wrong": int(wrong.sum()), "of": wrong.size}
        reason = "a maximum is no element of its window"
        raise Violation(reason, case, result="output", index=at, got=float(out[at]), **counts)


@law(case=strategies.cases, share=0.15)
def test_maximum_of_single_cells_is_the_identity(max_pool, case):
    """A window of one cell gives the input back, or every stride-th element of it, bit for bit."""
    call = _with(case, **_SINGLE)
    steps = (..., *(slice(None, None, s) for s in call.pool.stride))
    expected = _told(max_pool, call, case.operands["input"])[steps]
    judge.same_bits(_maxima(max_pool, call), expected, call, "a window of one cell changes it")


_SINGLE = {"kernel_size": 1, "padding": None, "dilation": None, "ceil_mode": None}


@law(case=strategies.cases, constant=st.sampled_from(("lowest", "largest", "negative", "positive")), share=0.15)
def test_maximum_of_a_constant_is_the_constant(max_pool, case, constant):
    """A constant image gives the constant, be it the lowest number of all: padding never wins."""
    form = format_of(case.dtype)
    choices = {"lowest": -form.max, "largest": form.max, "negative": -form.smallest_normal, "positive": 1.5}
    image = _on(case, np.full(case.operands["input"].shape, choices[constant]))
    out = max_pool.one(image)
    expected = np.full(out.shape, choices[constant])
    judge.same_bits(out.astype(np.float64), expected, image, f"the maximum of a constant ({constant}) is another")


@law(case=negative_cases, share=0.15)
def test_padding_never_wins_a_maximum(max_pool, case):
    """Where all data are negative, so is every maximum, and none is above the largest element."""
    out, x = _maxima(max_pool, case), _told(max_pool, case, case.operands["input"])
    largest = x.max(axis=tuple(range(2, x.ndim)), keepdims=True) if x.size else x
    _not_above(out, np.broadcast_to(largest, out.shape) if x.size else out, case, "a maximum is above all data")


@law(case=strategies.cases, place=PLACES, share=0.15)
def test_maxima_of_maxima_are_maxima_of_larger_windows(max_pool, case, place):
    """Windows of a, then of b cells, sliding by one, give the maxima of windows of a + b - 1 cells."""
    size = case.operands["input"].shape[2:]
    first = tuple(map(min, case.pool.kernel_size, size))
    second = tuple(1 + place % (n - a + 1) for n, a in zip(size, first, strict=True))
    both = tuple(a + b - 1 for a, b in zip(first, second, strict=True))

    def slide(call, kernel):
        return max_pool.one(replace(call, arguments={"kernel_size": kernel, "stride": 1}))

    twice = slide(case.with_operands(input=np.ascontiguousarray(slide(case, first))), second)
    twice, once = (_told(max_pool, case, values) for values in (twice, slide(case, both)))
    judge.same_bits(twice, once, case, f"windows of {first}, then of {second} are not windows of {both}")


@law(case=strategies.cases, place=PLACES)
def test_maximum_is_monotone(max_pool, case, place):
    """Where the input grows, no maximum falls."""
    x = case.operands["input"]
    # at least as large everywhere, and some values of its own elsewhere
    larger = np.maximum(_wide(case), np.roll(_wide(case), 1 + place % 7))
    before, after = (_maxima(max_pool, _on(case, values)) for values in (x, larger))
    _not_above(before, after, case, "a maximum falls where the input grows")


@law(case=integer_cases, seed=SEEDS)
def test_maximum_commutes_with_increasing_maps(max_pool, case, seed):
    """An increasing function of the values is the same before pooling as after it."""
    # a random one: seven numbers in ascending order, for -3 to 3
    table = np.sort(np.random.default_rng(seed).normal(0, 4, 7)).astype(numpy_dtype(case.dtype)).astype(np.float64)

    def mapped(values):
        return table[np.clip(values.astype(np.float64), -3, 3).astype(int) + 3]

    after, before = mapped(max_pool.one(case)), max_pool.one(_on(case, mapped(_wide(case)))).astype(np.float64)
    judge.same_bits(before, after, case, "the maximum does not commute with an increasing function")


@law(case=strategies.cases)
def test_minimum_is_the_negated_maximum_of_the_negated(max_pool, case):
    """Minus the maximum of -x is the minimum of each window."""
    out, lowest = -_maxima(max_pool, _on(case, -_wide(case))), _cells(max_pool, case, np.inf).min(axis=-1)
    judge.same_bits(out, lowest, case, "minus the maximum of -x is not the minimum")


@law(case=strategies.cases, share=0.15)
def test_global_maximum(max_pool, case):
    """A window as large as the input gives the largest element of each plane."""
    x = case.operands["input"]
    call = replace(case, arguments={"kernel_size": x.shape[2:]})
    out = _maxima(max_pool, call)
    best = _told(max_pool, call, x).max(axis=tuple(range(2, x.ndim)), keepdims=True)
    judge.same_bits(out, best, call, "a window over everything does not give the largest element")


@law(case=ceil_cases)
def test_ceil_mode_leaves_the_other_maxima_alone(max_pool, case):
    """Ceil mode adds at most one window per axis and changes no other."""
    plain, more = (_maxima(max_pool, call) for call in _both_modes(max_pool, case))
    judge.same_bits(more[_corner(plain, more, case)], plain, case, "ceil mode changes windows that were there before")


def _both_modes(judged, case):
    """The call in floor mode and in ceil mode."""
    if judged.claims(case).ceil_rule != "standard":
        raise NotApplicable("has a ceil mode of its own")
    return [_with(case, ceil_mode=mode) for mode in (None, True)]


def _corner(plain, more, case):
    """Where the windows of floor mode are among those of ceil mode."""
    added = [m - n for n, m in zip(plain.shape[2:], more.shape[2:], strict=True)]
    if not all(n in (0, 1) for n in added):
        raise Violation(f"ceil mode adds {added} windows, but may add one per axis", case, result="output")
    return (..., *(slice(0, n) for n in plain.shape[2:]))


# --------------------------------------------------------------------------------- maximum: special values


@law(case=strategies.cases, place=PLACES)
def test_nan_reaches_the_maxima_of_its_windows_only(max_pool, case, place):
    """A window that reads a NaN gives NaN, or the maximum of the rest where that is claimed; others do not change."""
    where = _element(case, place)
    reads, holds = _reaching(case, where)
    poisoned, without = (_on(case, _set(_wide(case), where, value)) for value in (np.nan, -np.inf))
    before, after = _maxima(max_pool, case), _maxima(max_pool, poisoned)
    reason = "a NaN changes the maximum of a window that does not hold it"
    judge.same_bits(after[..., ~holds], before[..., ~holds], poisoned, reason)
    if max_pool.claims(case).nan_max == "propagate":
        expected, reason = np.full(after.shape, np.nan), "a NaN in the window is lost"
    else:
        expected, reason = _cells(max_pool, without, -np.inf).max(axis=-1), "a NaN in the window is not dropped"
        expected = np.where(np.isneginf(expected), after, expected)  # nothing else in the window
    judge.same_bits(after[..., reads], expected[..., reads], poisoned, reason)


def _set(values, where, value):
    values[(..., *where)] = value
    return values


@law(case=strategies.cases, place=PLACES, share=0.15)
def test_infinities_take_part_in_maxima(max_pool, case, place):
    """Plus infinity wins each window that reads it and no other; minus infinity loses against every number."""
    where = _element(case, place)
    reads, holds = _reaching(case, where)
    highest, lowest = (_on(case, _set(_wide(case), where, value)) for value in (np.inf, -np.inf))
    before, after = _maxima(max_pool, case), _maxima(max_pool, highest)
    judge.same_bits(after[..., reads], np.full(after[..., reads].shape, np.inf), highest, "plus infinity does not win")
    judge.same_bits(after[..., ~holds], before[..., ~holds], highest, "plus infinity wins where it is not read")
    rest = _cells(max_pool, lowest, -np.inf).max(axis=-1)
    # windows of nothing else may give the lowest number
    rest = np.where(np.isneginf(rest), _lowest_or(max_pool.one(lowest), case), rest)
    judge.same_bits(_maxima(max_pool, lowest), rest, lowest, "minus infinity wins over a number")


def _lowest_or(out, case):
    """What was given where it is the lowest number, minus infinity elsewhere."""
    out = out.astype(np.float64)
    return np.where(out == -format_of(case.dtype).max, out, -np.inf)


# ----------------------------------------------------------------------------------------------- average


@law(case=integer_cases)
def test_average_times_its_count_is_the_sum(avg_pool, case):
    """The average of each window, times the cells that count, is the sum of its elements."""
    sums = windows(case, _wide(case), 0).sum(axis=-1)
    result = avg_pool.enclosed(case)["output"] * window_counts(case)[1]
    judge.overlap(result, Interval.point(sums), case, "an average times its count is not the sum of its window")


def either_mode(operation, scope):
    """Cases of which more than half are in ceil mode, whose last windows stick out."""
    return st.one_of(ceil_cases(operation, scope), strategies.cases(operation, scope))


@law(case=either_mode)
def test_average_of_ones_counts_the_cells(avg_pool, case):
    """The average of ones is one, or the share of cells that are not padding where padding counts."""
    ones = _on(case, np.ones(case.operands["input"].shape))
    inside, counted = window_counts(case)
    result = avg_pool.enclosed(ones)["output"]
    expected = np.broadcast_to(inside, result.low.shape)
    judge.overlap(result * counted, Interval.point(expected), ones, "an average of ones is not the share of the data")


@law(case=integer_cases)
def test_average_is_a_convolution_with_a_constant_kernel(avg_pool, case):
    """The average times its count is the depthwise convolution with ones."""
    spec, x = case.pool, case.operands["input"]
    channels, ones = x.shape[1], np.ones((x.shape[1], 1, *spec.kernel_size), x.dtype)
    arguments = given(stride=spec.stride, groups=channels)
    operands = {"input": hull(case, x), "weight": ones}
    call = replace(case, operation=OPERATIONS[f"conv{spec.rank}d"], operands=operands, arguments=arguments)
    sums = avg_pool.sibling(call.operation.name).enclosed(call)["output"]
    result = avg_pool.enclosed(case)["output"] * window_counts(case)[1]
    judge.overlap(result, sums, case, "the average is not a convolution with a constant kernel")


@law(case=strategies.cases, share=0.15)
def test_average_of_single_cells_is_the_identity(avg_pool, case):
    """A window of one cell gives the input back, or every stride-th element of it."""
    call = _with(case, **_SINGLE)
    steps = (..., *(slice(None, None, s) for s in call.pool.stride))
    result = avg_pool.enclosed(call)["output"]
    judge.overlap(result, Interval.point(_wide(case)[steps]), call, "the average of one cell is another number")


@law(case=strategies.cases, place=PLACES)
def test_average_is_monotone(avg_pool, case, place):
    """Where the input grows, no average falls by more than its error."""
    larger = np.maximum(_wide(case), np.roll(_wide(case), 1 + place % 7))
    before, after = (avg_pool.enclosed(_on(case, values))["output"] for values in (_wide(case), larger))
    _not_above(before.low, after.high, case, "an average falls where the input grows")


@law(case=strategies.cases)
def test_average_lies_between_minimum_and_maximum(avg_pool, case):
    """An average that leaves padding out lies between the least and the largest element of its window."""
    if any(a or b for a, b in case.pool.padding):
        case = _with(case, count_include_pad=False)
    pool = avg_pool.sibling(f"max_pool{case.operation.rank}d")
    largest = _sibling(case, "max")
    least = _on(largest, -_wide(case))
    result = avg_pool.enclosed(case)["output"]
    _not_above(result.low, pool.one(largest).astype(np.float64), case, "an average is above the maximum of its window")
    _not_above(-pool.one(least).astype(np.float64), result.high, case, "an average is below the minimum of its window")


@law(case=integer_cases, share=0.15)
def test_global_average(avg_pool, case):
    """A window as large as the input gives the mean of each plane."""
    x = case.operands["input"]
    call = replace(case, arguments={"kernel_size": x.shape[2:]})
    total = x.astype(np.float64).sum(axis=tuple(range(2, x.ndim)), keepdims=True)
    result = avg_pool.enclosed(call)["output"] * prod(x.shape[2:])
    judge.overlap(result, Interval.point(total), call, "a window over everything does not give the mean")


@law(case=ceil_cases)
def test_ceil_mode_leaves_the_other_averages_alone(avg_pool, case):
    """Ceil mode adds at most one window per axis and changes no other."""
    plain, more = (avg_pool.enclosed(call)["output"] for call in _both_modes(avg_pool, case))
    corner = _corner(plain.low, more.low, case)
    judge.overlap(more.map(lambda a: a[corner]), plain, case, "ceil mode changes windows that were there before")
