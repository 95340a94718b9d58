"""NaN and infinities reach what reads them and nothing else, by the stated clauses."""

import numpy as np
from hypothesis import strategies as st

from refconv import judge
from refconv.judge import Violation
from refconv.law import NotApplicable, law
from refconv.relations import PLACES, drawn, outer, reads

BAD = st.sampled_from((np.nan, np.inf, -np.inf))
telling = drawn(families=("positive",), empty=False)  # without zeros: whether a zero weight reads is left open


def _put(case, name, place, value):
    """The case with one element of an operand replaced, and where it stands."""
    array = case.operands[name].copy()
    index = np.unravel_index(place % array.size, array.shape)
    array[index] = value
    return case.with_operands(**{name: array}), tuple(int(i) for i in index)


def _check(case, array, index, must, may, local, name="output"):
    """Elements of `must` are not finite; those outside `may` are, unless the class is not local."""
    bad = ~np.isfinite(array.astype(np.float64))
    if (missing := must & ~bad).any():
        at = tuple(int(i[0]) for i in np.nonzero(missing))
        raise Violation(
            f"`{name}` hides a NaN or infinity that it reads", case, result=name, index=at, got=float(array[at])
        )
    if local and (leak := bad & ~may).any():
        at = tuple(int(i[0]) for i in np.nonzero(leak))
        raise Violation(
            f"`{name}` shows a NaN or infinity of a cell outside its window",
            case,
            result=name,
            index=at,
            got=str(float(array[at])),
            exact="finite",
        )


def _local(judged, case):
    return judged.claims(case).algorithm == "direct"


def _group(case, channel, channels):
    return channel // max(1, channels // case.conv.groups)


@law(case=telling, place=PLACES, value=BAD)
def test_a_nan_in_the_input_reaches_the_outputs_that_read_it(conv, case, place, value):
    """An output whose taps read a NaN or infinity is not finite; one whose window does not hold it is."""
    case, index = _put(case, "input", place, value)
    y = conv.one(case)
    size = case.operands["input"].shape
    masks = []
    for hull in (False, True):
        axes = reads(case, y.shape[2:], size[2:], hull)
        mask = np.zeros(y.shape, dtype=bool)
        per_group = y.shape[1] // case.conv.groups
        g = _group(case, index[1], size[1])
        spot = outer([m[:, i] for m, i in zip(axes, index[2:], strict=True)])
        mask[index[0], g * per_group : (g + 1) * per_group] = spot
        masks.append(mask)
    _check(case, y, index, *masks, _local(conv, case))


@law(case=telling, place=PLACES, value=BAD)
def test_a_nan_in_the_weight_reaches_its_output_channel_only(conv, case, place, value):
    """A NaN or infinity in the weight shows in its output channel wherever its tap reads data, in no other channel."""
    case, index = _put(case, "weight", place, value)
    y = conv.one(case)
    size, hits = case.operands["input"].shape[2:], []
    for o, n, s, (a, _), d, k in zip(
        y.shape[2:], size, case.conv.stride, case.conv.padding, case.conv.dilation, index[2:], strict=True
    ):
        where = np.arange(o) * s + k * d - a
        hits.append((where >= 0) & (where < n))
    must, may = np.zeros(y.shape, dtype=bool), np.zeros(y.shape, dtype=bool)
    must[:, index[0]], may[:, index[0]] = outer(hits), True
    _check(case, y, index, must, may, _local(conv, case))


@law(case=telling, place=PLACES, value=BAD)
def test_a_nan_in_the_transposed_input_reaches_its_footprint(conv_transpose, case, place, value):
    """An output that a NaN or infinity is spread to is not finite; one outside its footprint is."""
    case, index = _put(case, "input", place, value)
    y = conv_transpose.one(case)
    size = case.operands["input"].shape
    masks = []
    for hull in (False, True):
        axes = reads(case, size[2:], y.shape[2:], hull)
        mask = np.zeros(y.shape, dtype=bool)
        per_group = y.shape[1] // case.conv.groups
        g = _group(case, index[1], size[1])
        spot = outer([m[i] for m, i in zip(axes, index[2:], strict=True)])
        mask[index[0], g * per_group : (g + 1) * per_group] = spot
        masks.append(mask)
    _check(case, y, index, *masks, _local(conv_transpose, case))


@law(case=telling, place=PLACES, value=BAD)
def test_a_nan_in_the_gradient_reaches_its_channel_only(conv_backward, case, place, value):
    """A NaN or infinity in grad_output shows in the bias gradient of its channel; other channels stay finite."""
    case, index = _put(case, "grad_output", place, value)
    results = conv_backward(case)
    bias, weight, local = results["grad_bias"], results["grad_weight"], _local(conv_backward, case)
    mask = np.zeros(bias.shape, dtype=bool)
    mask[index[1]] = True
    _check(case, bias, index, mask, mask, True, "grad_bias")
    may = np.zeros(weight.shape, dtype=bool)
    may[index[1]] = True
    _check(case, weight, index, np.zeros_like(may), may, local, "grad_weight")


@law(case=telling, place=PLACES, value=BAD)
def test_a_nan_in_a_window_makes_its_average_one(avg_pool, case, place, value):
    """The average of a window with a NaN or infinity is not finite; that of any other window is."""
    case, index = _put(case, "input", place, value)
    y = avg_pool.one(case)
    axes = reads(case, y.shape[2:], case.operands["input"].shape[2:])
    mask = np.zeros(y.shape, dtype=bool)
    mask[index[:2]] = outer([m[:, i] for m, i in zip(axes, index[2:], strict=True)])
    _check(case, y, index, mask, mask, True)


@law(case=telling, place=PLACES)
def test_a_nan_takes_the_gradient_of_its_windows(max_pool_backward, case, place):
    """Where a window holds one NaN, that is its maximum: it receives the window's gradient and no other cell does."""
    if max_pool_backward.subject.claims.nan_max != "propagate":
        raise NotApplicable("claims to drop NaN")
    case, _ = _put(case, "input", place, np.nan)
    return judge.within(max_pool_backward(case), case, max_pool_backward.claims(case))
