"""Gradients: adjoint to their forward operation, linear, computable in several ways, and confined to what was read.

Data are small integers wherever sums of results are compared: their exact values and all combinations are exact in
every dtype, so that an interval is a point for direct summation and no more than its class allows for the others.
"""

from dataclasses import replace
from math import prod

import numpy as np
from hypothesis import strategies as st

from refconv import judge, strategies
from refconv.dtypes import numpy_dtype
from refconv.judge import Interval
from refconv.law import NotApplicable, law
from refconv.relations import (
    PLACES,
    SEEDS,
    drawn,
    given,
    integer_cases,
    joined,
    outer,
    padded,
    reads,
    small,
    window_counts,
    windows,
)
from refconv.spec import OPERATIONS

# ------------------------------------------------------------------------------------------------- cases


def batches(operation, scope):
    """Integer cases of several images, unless the batch is held fast."""
    sizes = st.sampled_from((2, 3, 5))
    several = sizes.flatmap(lambda n: drawn(families=("denseint",), fix={"batch": n})(operation, scope))
    return several.map(small).map(_without_features)


def images(operation, scope):
    """Integer cases with at least one image."""
    return integer_cases(operation, replace(scope, empty=False))


def _without_features(case):
    """What the row says of the batch is not so: it must not count as covered."""
    return replace(case, features=())


def _integers(like, seed, bound=1):
    """Other integers of the same shape, small enough to be added to the first."""
    rng = np.random.default_rng(seed)
    return rng.integers(-bound, bound, like.shape, endpoint=True).astype(like.dtype)


def _sum(a, b, factor=1):
    return (factor * a.astype(np.float64) + b.astype(np.float64)).astype(a.dtype)


def _distinct(x):
    """Neighbouring numbers of the dtype, shuffled: no two within a window are equal."""
    one = np.ones((), x.dtype).view(f"u{x.itemsize}")
    # an odd factor: the first 8192 differ, and so do any two that lie closer together
    order = np.arange(prod(x.shape[2:])) * 5197 % 2**13
    plane = (one + order.astype(one.dtype)).view(x.dtype).reshape(x.shape[2:])
    return np.ascontiguousarray(np.broadcast_to(plane, x.shape))


def _settled(judged, case):
    """A case whose gradient is determined: without ties where the subject may split them as it likes."""
    if judged.claims(case).ties == "first":
        return case
    return case.with_operands(input=_distinct(case.operands["input"]))


# ------------------------------------------------------------------------------------------- other calls


def _call(case, name, operands, arguments):
    dtype = numpy_dtype(case.dtype)
    arrays = {n: np.array(a, order="C").astype(dtype) for n, a in operands.items()}
    return replace(case, operation=OPERATIONS[name], operands=arrays, arguments=arguments)


def _forward(case, **operands):
    """The operation whose gradient this is, on the case's operands or others."""
    inputs = {
        name: case.operands[name] for name in OPERATIONS[case.operation.forward].operands if name in case.operands
    }
    return _call(case, case.operation.forward, {**inputs, **operands}, case.arguments)


def _convolution(case):
    return f"conv{case.operation.rank}d"


def _enclosed(judged, call):
    return judged.sibling(call.operation.name).enclosed(call)


# ----------------------------------------------------------------------------------------------- pairings


def _paired(interval, weights, shape):
    """Sums of products with weights: the arrays reshaped to `shape`, their last axis summed."""
    return (interval * weights.astype(np.float64)).map(lambda end: end.reshape(shape)).sum(axis=-1)


def _by_image(interval, weights, case):
    """A sum for each image and group."""
    n, groups = weights.shape[0], case.conv.groups
    return _paired(interval, weights, (n, groups, prod(weights.shape[1:]) // groups))


def _by_plane(interval, weights):
    """A sum for each image and channel."""
    return _paired(interval, weights, (*weights.shape[:2], prod(weights.shape[2:])))


def _by_output_channel(interval, weights):
    swapped = np.swapaxes(weights, 0, 1)
    shape = (len(swapped), prod(swapped.shape[1:]))
    return _paired(interval.map(lambda a: np.swapaxes(a, 0, 1)), swapped, shape)


def _by_filter(interval, weights):
    return _paired(interval, weights, (len(weights), prod(weights.shape[1:])))


# ------------------------------------------------------------------------------- convolution: the adjoint


@law(case=integer_cases)
def test_input_gradient_is_adjoint_to_the_convolution(conv_backward, case):
    """The result paired with grad_output is the input paired with its gradient, image by image."""
    g, x = case.operands["grad_output"], case.operands["input"]
    result = _enclosed(conv_backward, _forward(case))["output"]
    gradient = conv_backward.enclosed(case)["grad_input"]
    reason = "<input, grad_input> is not <conv(input, weight), grad_output>"
    judge.overlap(_by_image(gradient, x, case), _by_image(result, g, case), case, reason, "grad_input")


@law(case=integer_cases)
def test_weight_gradient_is_adjoint_to_the_convolution(conv_backward, case):
    """The result paired with grad_output is the weight paired with its gradient, channel by channel."""
    g, w = case.operands["grad_output"], case.operands["weight"]
    result = _enclosed(conv_backward, _forward(case))["output"]
    gradient = conv_backward.enclosed(case)["grad_weight"]
    reason = "<weight, grad_weight> is not <conv(input, weight), grad_output>"
    judge.overlap(_by_filter(gradient, w), _by_output_channel(result, g), case, reason, "grad_weight")


@law(case=integer_cases, seed=SEEDS)
def test_bias_gradient_is_adjoint_to_adding_a_bias(conv_backward, case, seed):
    """The result with a bias, paired with grad_output, is the weight and the bias paired with their gradients."""
    if not conv_backward.subject.scope.bias:
        raise NotApplicable("takes no bias")
    g, w = case.operands["grad_output"], case.operands["weight"]
    bias = _integers(w[(slice(None), *(0,) * (w.ndim - 1))], seed, 3)
    result = _enclosed(conv_backward, _forward(case, bias=bias))["output"]
    gradients = conv_backward.enclosed(case)
    own = _paired(gradients["grad_bias"], bias, (len(bias), 1))
    both = _by_filter(gradients["grad_weight"], w) + own
    reason = "<weight, grad_weight> + <bias, grad_bias> is not <conv(input, weight, bias), grad_output>"
    judge.overlap(both, _by_output_channel(result, g), case, reason, "grad_bias")


@law(case=integer_cases)
def test_bias_gradient_is_the_sum_of_grad_output(conv_backward, case):
    """The gradient of the bias is grad_output summed over images and positions."""
    g = case.operands["grad_output"].astype(np.float64)
    total = g.sum(axis=(0, *range(2, g.ndim)))  # integers: exact
    gradient = conv_backward.enclosed(case)["grad_bias"]
    judge.overlap(gradient, Interval.point(total), case, "`grad_bias` is not the sum of grad_output", "grad_bias")


@law(case=integer_cases, seed=SEEDS, share=0.15)
def test_input_gradient_predicts_a_step_of_the_input(conv_backward, case, seed):
    """conv(x + h) - conv(x), paired with grad_output, is h paired with the gradient, however long the step."""
    g, x = case.operands["grad_output"], case.operands["input"]
    h = _integers(x, seed)
    here = _enclosed(conv_backward, _forward(case))["output"]
    there = _enclosed(conv_backward, _forward(case, input=_sum(x, h)))["output"]
    change = _by_image(there, g, case) - _by_image(here, g, case)
    predicted = _by_image(conv_backward.enclosed(case)["grad_input"], h, case)
    judge.overlap(predicted, change, case, "`grad_input` does not predict a step of the input", "grad_input")


@law(case=integer_cases, seed=SEEDS, share=0.15)
def test_weight_gradient_predicts_a_step_of_the_weight(conv_backward, case, seed):
    """conv(w + h) - conv(w), paired with grad_output, is h paired with the gradient, however long the step."""
    g, w = case.operands["grad_output"], case.operands["weight"]
    h = _integers(w, seed)
    here = _enclosed(conv_backward, _forward(case))["output"]
    there = _enclosed(conv_backward, _forward(case, weight=_sum(w, h)))["output"]
    change = _by_output_channel(there, g) - _by_output_channel(here, g)
    predicted = _by_filter(conv_backward.enclosed(case)["grad_weight"], h)
    judge.overlap(predicted, change, case, "`grad_weight` does not predict a step of the weight", "grad_weight")


# ------------------------------------------------------------------------ convolution: every way to compute


@law(case=integer_cases)
def test_input_gradient_is_a_transposed_convolution(conv_backward, case):
    """The transposed convolution of grad_output with the weight gives the input's gradient."""
    judged = f"conv_transpose{case.operation.rank}d"
    g, x, w = (case.operands[name] for name in case.operation.operands)
    spec = case.conv
    geometry = {"stride": spec.stride, "dilation": spec.dilation, "groups": spec.groups}
    even = all(a == b for a, b in spec.padding)
    if even:  # output padding makes up for the rows that no window reaches
        size = spec.transposed_output_size(g.shape[2:], w.shape[2:], (0,) * spec.rank)
        geometry["padding"] = tuple(a for a, _ in spec.padding)
        geometry["output_padding"] = tuple(n - m for n, m in zip(x.shape[2:], size, strict=True))
    call = _call(case, judged, {"input": g, "weight": w}, given(**geometry))
    other = _enclosed(conv_backward, call)["output"]
    if not even:
        other = other.map(lambda a: _cropped(a, [a for a, _ in spec.padding], x.shape[2:]))
    gradient = conv_backward.enclosed(case)["grad_input"]
    reason = "`grad_input` is not the transposed convolution of grad_output"
    judge.overlap(gradient, other, case, reason, "grad_input")


def _cropped(array, before, size):
    """The part that starts `before` cells in and is `size` long, zero where there is none."""
    room = [(0, max(0, b + n - have)) for b, n, have in zip(before, size, array.shape[2:], strict=True)]
    return padded(array, room)[(..., *(slice(b, b + n) for b, n in zip(before, size, strict=True)))]


@law(case=integer_cases)
def test_input_gradient_is_a_full_convolution_with_the_rotated_kernel(conv_backward, case):
    """grad_output, fully padded and spread by the stride, correlated with rot180 of the weight, gives grad_input."""
    spread = _spread(case)
    arguments = given(dilation=case.conv.dilation, groups=case.conv.groups)
    call = _call(case, _convolution(case), {"input": spread, "weight": _rotated(case)}, arguments)
    other = _enclosed(conv_backward, call)["output"]
    gradient = conv_backward.enclosed(case)["grad_input"]
    reason = "`grad_input` is not the full convolution of grad_output with the kernel rotated by 180 degrees"
    judge.overlap(gradient, other, case, reason, "grad_input")


def _spread(case):
    """grad_output with stride - 1 zeros between its elements, as far as each kernel position needs it."""
    g, x, w = (case.operands[name] for name in case.operation.operands)
    spec = case.conv
    extent = spec.extent(w.shape[2:])
    out = np.zeros((*g.shape[:2], *(n + e - 1 for n, e in zip(x.shape[2:], extent, strict=True))), g.dtype)
    into, cut = [], []
    axes = zip(g.shape[2:], out.shape[2:], extent, spec.stride, spec.padding, strict=True)
    for count, room, e, s, (before, _) in axes:
        places = np.arange(count) * s + e - 1 - before
        inside = np.flatnonzero((places >= 0) & (places < room))  # what lies outside has only met padding
        into.append(places[inside])
        cut.append(inside)
    every = [np.arange(n) for n in g.shape[:2]]
    out[np.ix_(*every, *into)] = g[np.ix_(*every, *cut)]
    return out


def _rotated(case):
    """The weight with in and out channels exchanged within each group and every spatial axis reversed."""
    w, groups = case.operands["weight"], case.conv.groups
    parts = w.reshape(groups, len(w) // groups, *w.shape[1:])
    turned = np.flip(np.swapaxes(parts, 1, 2), axis=tuple(range(3, parts.ndim)))
    return turned.reshape(groups * w.shape[1], len(w) // groups, *w.shape[2:])


@law(case=images, place=PLACES)
def test_weight_gradient_is_a_convolution_with_grad_output(conv_backward, case, place):
    """The input correlated with grad_output, images as channels, stride and dilation exchanged, gives grad_weight."""
    g, x, w = (case.operands[name] for name in case.operation.operands)
    spec = case.conv
    group = place % spec.groups
    ins, outs = (slice(group * n, (group + 1) * n) for n in (w.shape[1], len(w) // spec.groups))
    operands = {"input": np.swapaxes(padded(x[:, ins], spec.padding), 0, 1), "weight": np.swapaxes(g[:, outs], 0, 1)}
    call = _call(case, _convolution(case), operands, given(stride=spec.dilation, dilation=spec.stride))
    kernel = (..., *(slice(0, k) for k in w.shape[2:]))  # rows that no window reaches give more
    other = _enclosed(conv_backward, call)["output"].map(lambda a: np.swapaxes(a[kernel], 0, 1))
    gradient = conv_backward.enclosed(case)["grad_weight"].map(lambda a: a[outs])
    reason = "`grad_weight` is not the convolution of the input with grad_output"
    judge.overlap(gradient, other, case, reason, "grad_weight")


# ------------------------------------------------------------------- convolution: what gradients depend on


@law(case=integer_cases, seed=SEEDS, share=0.15)
def test_convolution_gradients_are_linear_in_grad_output(conv_backward, case, seed):
    """The gradients of h - 2 g are those of h less twice those of g."""
    _linear(conv_backward, case, seed)


def _linear(judged, case, seed):
    g = case.operands["grad_output"]
    h = _integers(g, seed)
    first, second = judged.enclosed(case), judged.enclosed(case.with_operands(grad_output=h))
    both = judged.enclosed(case.with_operands(grad_output=_sum(g, h, -2)))
    for name, gradient in both.items():
        expected = first[name] * -2 + second[name]
        judge.overlap(gradient, expected, case, f"`{name}` is not linear in grad_output", name)


@law(case=integer_cases, seed=SEEDS, share=0.15)
def test_input_gradient_does_not_depend_on_the_input(conv_backward, case, seed):
    """The second derivative with respect to the input is zero: another input, the same gradient."""
    here = conv_backward.enclosed(case)["grad_input"]
    there = conv_backward.enclosed(_with_other(case, "input", seed))["grad_input"]
    judge.overlap(there, here, case, "`grad_input` depends on the input", "grad_input")


@law(case=integer_cases, seed=SEEDS, share=0.15)
def test_weight_gradient_does_not_depend_on_the_weight(conv_backward, case, seed):
    """The second derivative with respect to the weight is zero: another weight, the same gradient."""
    here = conv_backward.enclosed(case)["grad_weight"]
    there = conv_backward.enclosed(_with_other(case, "weight", seed))["grad_weight"]
    judge.overlap(there, here, case, "`grad_weight` depends on the weight", "grad_weight")


def _with_other(case, name, seed):
    return case.with_operands(**{name: _integers(case.operands[name], seed, 3)})


@law(case=strategies.cases)
def test_nothing_flows_where_nothing_was_read(conv_backward, case):
    """Gradients have their operands' shapes; input that no window reads and taps that meet only padding get zero."""
    gradients = conv_backward.enclosed(case)
    read, used = _reach(case)
    for name, reached in (("grad_input", read), ("grad_weight", used)):
        got = gradients[name].map(lambda a, where=~reached: a[..., where])
        judge.overlap(
            got, Interval.point(np.zeros(got.low.shape)), case, f"`{name}` is not zero where nothing was read", name
        )


def _reach(case):
    """Which input positions some window reads, and which taps meet the input."""
    x, w, spec = case.operands["input"], case.operands["weight"], case.conv
    sizes = spec.output_size(x.shape[2:], w.shape[2:])
    used = []
    axes = zip(x.shape[2:], w.shape[2:], sizes, spec.stride, spec.dilation, spec.padding, strict=True)
    for n, k, count, s, d, (before, _) in axes:
        places = np.arange(count)[:, None] * s + np.arange(k) * d - before  # (windows, taps)
        used.append(((places >= 0) & (places < n)).any(axis=0))
    return outer([seen.any(axis=0) for seen in reads(case, sizes, x.shape[2:])]), outer(used)


@law(case=strategies.cases, share=0.15)
def test_zero_grad_output_gives_zero(conv_backward, case):
    """Where grad_output is zero everywhere, so is every gradient, exactly."""
    zero = np.zeros_like(case.operands["grad_output"])
    for name, gradient in conv_backward.enclosed(case.with_operands(grad_output=zero)).items():
        judge.overlap(
            gradient, Interval.point(np.zeros(gradient.low.shape)), case, f"`{name}` of zero is not zero", name
        )


@law(case=batches, seed=SEEDS, place=PLACES)
def test_input_gradient_of_an_image_is_its_own(conv_backward, case, seed, place):
    """An image's gradient stays the same whatever the other images and their grad_output are."""
    n = len(case.operands["input"])
    own = place % max(n, 1)
    others = np.arange(n) != own
    operands = {}
    for name in ("grad_output", "input"):
        operands[name] = case.operands[name].copy()
        operands[name][others] = _integers(operands[name], seed, 3)[others]
    here, there = conv_backward.enclosed(case), conv_backward.enclosed(case.with_operands(**operands))
    mine, again = (found["grad_input"].map(lambda a: a[own : own + 1]) for found in (here, there))
    judge.overlap(again, mine, case, "`grad_input` of an image depends on other images", "grad_input")


@law(case=batches, place=PLACES)
def test_weight_gradient_of_a_batch_is_the_sum_over_its_images(conv_backward, case, place):
    """The gradients of weight and bias for a batch are the sums of those for two parts of it; the input's, both."""
    whole = conv_backward.enclosed(case)
    n = len(case.operands["input"])
    if n < 2:  # a batch that is held fast, or all that the budget allowed
        return
    cut = 1 + place % (n - 1)
    left, right = (_enclosed(conv_backward, _part(case, part)) for part in (slice(0, cut), slice(cut, n)))
    for name in ("grad_weight", "grad_bias"):
        total = left[name] + right[name]
        judge.overlap(whole[name], total, case, f"`{name}` of a batch is not the sum over its images", name)
    both = joined([left["grad_input"], right["grad_input"]])
    judge.overlap(whole["grad_input"], both, case, "`grad_input` of a batch is not that of its images", "grad_input")


def _part(case, part):
    return case.with_operands(**{name: case.operands[name][part] for name in ("grad_output", "input")})


# --------------------------------------------------------------------------------------------- pooling windows


def _count(case):
    """How many windows each axis has."""
    return case.operands["grad_output"].shape[2:]


def _window(case, place):
    """The cells of the input that one window reads, as an index."""
    spec, size = case.pool, case.operands["input"].shape[2:]
    cells = []
    axes = zip(place, size, spec.stride, spec.dilation, spec.extent, spec.padding, strict=True)
    for p, n, s, d, e, (before, _) in axes:
        start = p * s - before
        first = start if start >= 0 else start + -(start // d) * d  # the first tap inside the input
        cells.append(slice(first, min(n, start + e), d))
    return (..., *cells)


def _one_window(case, place):
    """The case with a grad_output that is zero but for one window of each plane, and that window."""
    g = np.zeros_like(case.operands["grad_output"])
    where = np.unravel_index(place % max(1, prod(_count(case))), _count(case))
    planes = prod(g.shape[:2])
    g[(..., *where)] = (1 + np.arange(planes) % 3).reshape(g.shape[:2])
    return case.with_operands(grad_output=g), tuple(map(int, where))


# ------------------------------------------------------------------------------------------ average pooling


@law(case=integer_cases)
def test_average_gradient_is_adjoint_to_the_average(avg_pool_backward, case):
    """The averages paired with grad_output are the input paired with its gradient, plane by plane."""
    g, x = case.operands["grad_output"], case.operands["input"]
    result = _enclosed(avg_pool_backward, _forward(case))["output"]
    gradient = avg_pool_backward.enclosed(case)["grad_input"]
    reason = "<input, grad_input> is not <avg_pool(input), grad_output>"
    judge.overlap(_by_plane(gradient, x), _by_plane(result, g), case, reason, "grad_input")


@law(case=integer_cases, seed=SEEDS, share=0.15)
def test_average_gradient_does_not_depend_on_the_input(avg_pool_backward, case, seed):
    """Averages are linear: another input, the same gradient."""
    here = avg_pool_backward.enclosed(case)["grad_input"]
    there = avg_pool_backward.enclosed(_with_other(case, "input", seed))["grad_input"]
    judge.overlap(there, here, case, "`grad_input` of an average depends on the input", "grad_input")


@law(case=integer_cases, seed=SEEDS, share=0.15)
def test_average_gradient_is_linear_in_grad_output(avg_pool_backward, case, seed):
    """The gradient of h - 2 g is that of h less twice that of g."""
    _linear(avg_pool_backward, case, seed)


@law(case=integer_cases)
def test_average_gradient_conserves_the_sum(avg_pool_backward, case):
    """The gradient adds up to grad_output, less the shares that fall on padding that counts."""
    g, x = case.operands["grad_output"], case.operands["input"]
    inside, counted = window_counts(case)
    total = _by_plane(avg_pool_backward.enclosed(case)["grad_input"], np.ones(x.shape))
    expected = _by_plane((Interval.point(g) * inside) / counted, np.ones(g.shape))
    judge.overlap(total, expected, case, "the gradient of an average does not add up to grad_output", "grad_input")


@law(case=integer_cases, place=PLACES)
def test_average_gradient_is_spread_evenly(avg_pool_backward, case, place):
    """One window's gradient reaches each of its cells in equal parts, and no other cell."""
    case, where = _one_window(case, place)
    g, count = case.operands["grad_output"].astype(np.float64), window_counts(case)[1][where]
    expected = np.zeros(case.operands["input"].shape)
    expected[_window(case, where)] = g[(..., *where)].reshape(*g.shape[:2], *(1,) * (g.ndim - 2))
    shares = avg_pool_backward.enclosed(case)["grad_input"] * float(count)
    judge.overlap(
        shares, Interval.point(expected), case, "the gradient of an average is not spread evenly", "grad_input"
    )


# ------------------------------------------------------------------------------------------ maximum pooling


@law(case=integer_cases, place=PLACES)
def test_maximum_gradient_lands_on_the_maximum(max_pool_backward, case, place):
    """One window's gradient goes whole to its first maximum, and nowhere else."""
    case, where = _one_window(_settled(max_pool_backward, case), place)
    g, x = case.operands["grad_output"], case.operands["input"].astype(np.float64)
    window = _window(case, where)
    cells = x[window].reshape(*x.shape[:2], -1) if x.size else np.zeros((*x.shape[:2], 1))
    share = np.zeros(cells.shape)
    if x.size:
        np.put_along_axis(share, cells.argmax(axis=-1)[..., None], g[(..., *where)][..., None].astype(float), axis=-1)
    expected = np.zeros(x.shape)
    expected[window] = share.reshape(expected[window].shape)
    gradient = max_pool_backward.enclosed(case)["grad_input"]
    judge.overlap(
        gradient, Interval.point(expected), case, "a window's gradient is not at its first maximum", "grad_input"
    )


@law(case=integer_cases)
def test_maximum_gradient_conserves_the_sum(max_pool_backward, case):
    """The gradient adds up to grad_output, plane by plane: nothing is lost, nothing doubled."""
    case = _settled(max_pool_backward, case)
    g = case.operands["grad_output"].astype(np.float64)
    gradient = max_pool_backward.enclosed(case)["grad_input"]
    total = _by_plane(gradient, np.ones(case.operands["input"].shape))
    expected = Interval.point(g.sum(axis=tuple(range(2, g.ndim))))
    judge.overlap(total, expected, case, "the gradient of a maximum does not add up to grad_output", "grad_input")


@law(case=integer_cases)
def test_maximum_gradient_is_zero_off_the_maxima(max_pool_backward, case):
    """An element that is the maximum of no window gets exactly zero."""
    x = case.operands["input"].astype(np.float64)
    size = x.shape[2:]
    somewhere = np.zeros((*x.shape[:2], prod(size)), bool)
    cells = windows(case, np.arange(prod(size)).reshape(1, 1, *size), -1)[0, 0]  # where they lie in a plane
    values = windows(case, x, -np.inf)
    image, channel, *found = np.nonzero((values == values.max(axis=-1, keepdims=True)) & (cells >= 0))
    somewhere[image, channel, cells[tuple(found)]] = True
    somewhere = somewhere.reshape(x.shape)
    never = max_pool_backward.enclosed(case)["grad_input"].map(lambda a: np.where(somewhere, 0.0, a))
    reason = "an element that is nowhere the maximum has a gradient"
    judge.overlap(never, Interval.point(np.zeros(x.shape)), case, reason, "grad_input")


@law(case=integer_cases)
def test_maximum_gradient_recovers_the_maxima(max_pool_backward, case):
    """The maxima paired with grad_output are the input paired with its gradient, plane by plane."""
    case = _settled(max_pool_backward, case)
    g, x = case.operands["grad_output"], case.operands["input"]
    forward = _forward(case)
    best = Interval.point(max_pool_backward.sibling(case.operation.forward).one(forward))
    gradient = max_pool_backward.enclosed(case)["grad_input"]
    reason = "<input, grad_input> is not <max_pool(input), grad_output>"
    judge.overlap(_by_plane(gradient, x), _by_plane(best, g), case, reason, "grad_input")


@law(case=integer_cases, place=PLACES)
def test_maximum_gradient_predicts_a_step_of_one_element(max_pool_backward, case, place):
    """Raising an element tied with none changes the maxima as its gradient says, on either side of the kink."""
    x, g = case.operands["input"], case.operands["grad_output"].astype(np.float64)
    where = (..., *np.unravel_index(place % max(1, prod(x.shape[2:])), x.shape[2:]))
    forward = max_pool_backward.sibling(case.operation.forward)
    steps = []
    for height in (1, 2):  # the others are multiples of 4: no step meets one
        raised = 4 * x.astype(np.float64)
        raised[where] += height
        steps.append(raised.astype(x.dtype))
    low, high = (forward.one(_forward(case, input=step)).astype(np.float64) for step in steps)
    change = ((high - low) * g).sum(axis=tuple(range(2, g.ndim)))
    for step in steps:
        gradient = max_pool_backward.enclosed(case.with_operands(input=step))["grad_input"].map(lambda a: a[where])
        reason = "`grad_input` does not predict a step of one element"
        judge.overlap(gradient, Interval.point(change), case, reason, "grad_input")


@law(case=integer_cases, seed=SEEDS, share=0.15)
def test_maximum_gradient_is_linear_in_grad_output(max_pool_backward, case, seed):
    """The gradient of h - 2 g is that of h less twice that of g."""
    _linear(max_pool_backward, _settled(max_pool_backward, case), seed)
