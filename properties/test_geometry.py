"""Geometry: what moving, cutting and rearranging the operands does to the result; no exact value is asked for.

Two calls of one subject are compared, on integers of which every sum is exact: a correct direct kernel has no room
at all, and one of a transform class has the room of its claim.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from hypothesis import strategies as st

from refconv import judge, strategies
from refconv.dtypes import format_of, numpy_dtype
from refconv.judge import Interval, Violation
from refconv.law import NotApplicable, law
from refconv.receptive import Layer, receptive_field, taps
from refconv.relations import (
    SEEDS,
    agree,
    as_operand,
    ask,
    drawn,
    fresh,
    integers,
    joined,
    mapped,
    padded,
    points,
    whole,
    whole_numbers,
    without,
)
from refconv.spec import OPERATIONS, Case


def out_channels(case):
    return case.shapes["output"][1]


def cut(*slices):
    """A function that cuts the spatial axes, the last of an array."""
    return lambda array: array[(..., *slices)]


# ------------------------------------------------------------------------------------ arguments and operands


def short(values):
    return values[0] if len(set(values)) == 1 else tuple(values)


def stuffed(array, steps, after=None):
    """Zeros between neighbours, so that they lie `steps` apart, and `after` the last."""
    after = after or (0,) * len(steps)
    sizes = zip(array.shape[2:], steps, after, strict=True)
    out = np.zeros((*array.shape[:2], *(max(0, (n - 1) * s + 1 + a) for n, s, a in sizes)), array.dtype)
    out[(..., *(slice(0, (n - 1) * s + 1, s) for n, s in zip(array.shape[2:], steps, strict=True)))] = array
    return out


def rearranged(value, order):
    """A per-axis argument in another order of the axes; one for all axes stays."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(value[i] for i in order)
    return value


def turned(case, order):
    """The call with its spatial axes in another order."""
    rank = len(order)
    arguments = {name: rearranged(value, order) for name, value in case.arguments.items()}
    operands = {name: spatially(a, order) if a.ndim >= rank else a for name, a in case.operands.items()}
    return replace(case, operands=operands, arguments=arguments)


def spatially(array, order):
    """The last axes in another order."""
    lead = array.ndim - len(order)
    return np.ascontiguousarray(array.transpose(*range(lead), *(lead + i for i in order)))


def mirrored(array, axes):
    return np.ascontiguousarray(np.flip(array, [2 + a for a in axes]))


def some_axes(rng, rank):
    """At least one of the axes."""
    chosen = [a for a in range(rank) if rng.integers(2)]
    return chosen or [int(rng.integers(rank))]


def steps(rng, rank):
    """How far to move along each axis; not zero on all."""
    out = [int(v) for v in rng.integers(0, 3, rank)]
    out[-1] = max(out) or 1
    return out


# ---------------------------------------------------------------------------------------------- translation


@law(case=whole, seed=SEEDS, share=0.25)
def test_shifting_the_input_shifts_the_output(conv, case, seed):
    """Translation equivariance: an image moved by multiples of the stride in a field of zeros moves the result."""
    move = steps(np.random.default_rng(seed), case.operation.rank)
    by = [t * s for t, s in zip(move, case.conv.stride, strict=True)]
    case = fresh(case, seed)
    x = case.operands["input"]
    early = case.with_operands(input=padded(x, [(0, b) for b in by]))
    late = case.with_operands(input=padded(x, [(b, 0) for b in by]))
    sizes = zip(early.shapes["output"][2:], move, strict=True)
    left = mapped(ask(conv, early), cut(*(slice(0, max(0, n - t)) for n, t in sizes)))
    right = mapped(ask(conv, late), cut(*(slice(t, None) for t in move)))
    agree(right, left, late, "a shifted input does not shift the output")


@law(case=whole, seed=SEEDS, share=0.2)
def test_shifting_the_input_shifts_the_transposed_output(conv_transpose, case, seed):
    """An image moved in a field of zeros moves the result of a transposed convolution by the stride times that."""
    move = steps(np.random.default_rng(seed), case.operation.rank)
    by = [t * s for t, s in zip(move, case.conv.stride, strict=True)]
    case = fresh(case, seed)
    x = case.operands["input"]
    early = case.with_operands(input=padded(x, [(0, t) for t in move]))
    late = case.with_operands(input=padded(x, [(t, 0) for t in move]))
    sizes = zip(early.shapes["output"][2:], by, strict=True)
    left = mapped(ask(conv_transpose, early), cut(*(slice(0, max(0, n - b)) for n, b in sizes)))
    right = mapped(ask(conv_transpose, late), cut(*(slice(b, None) for b in by)))
    agree(right, left, late, "a shifted input does not shift the output")


@law(case=whole, seed=SEEDS, share=0.2)
def test_circular_padding_makes_translation_exact(conv, case, seed):
    """With the input wrapped around, rolling it by multiples of the stride rolls the result, border included."""
    spec = case.conv
    move = steps(np.random.default_rng(seed), case.operation.rank)
    x, kernel = case.operands["input"].shape, case.operands["weight"].shape[2:]
    period = [-(-n // s) * s for n, s in zip(x[2:], spec.stride, strict=True)]  # whole strides
    case = fresh(case, seed, without(case, "padding"), input=(*x[:2], *period))
    wrap = [(0, 0), (0, 0), *((0, e - 1) for e in spec.extent(kernel))]
    by = [t * s for t, s in zip(move, spec.stride, strict=True)]
    axes = tuple(range(2, case.operation.rank + 2))
    x = case.operands["input"]
    still = case.with_operands(input=np.pad(x, wrap, mode="wrap"))
    rolled = case.with_operands(input=np.pad(np.roll(x, by, axes), wrap, mode="wrap"))
    expected = mapped(ask(conv, still), lambda end: np.roll(end, move, axes))
    agree(ask(conv, rolled), expected, rolled, "a rolled input does not roll the output")


def pooling_moves(judged, case, seed):
    """Leaving out the first rows, whole strides of them, leaves out the first windows."""
    spec, x = case.pool, case.operands["input"].shape
    move = steps(np.random.default_rng(seed), case.operation.rank)
    by = [t * s for t, s in zip(move, spec.stride, strict=True)]
    case = fresh(case, seed, input=(*x[:2], *(n + b for n, b in zip(x[2:], by, strict=True))))
    part = case.with_operands(input=np.ascontiguousarray(cut(*(slice(b, None) for b in by))(case.operands["input"])))
    # windows that reach into the padding before the first row differ
    first = [-(-a // s) for (a, _), s in zip(spec.padding, spec.stride, strict=True)]
    right = cut(*(slice(t + f, None) for t, f in zip(move, first, strict=True)))
    left = mapped(ask(judged, part), cut(*(slice(f, None) for f in first)))
    agree(left, mapped(ask(judged, case), right), part, "leaving out rows does not leave out windows")


@law(case=whole, seed=SEEDS, share=0.2)
def test_shifting_the_input_shifts_the_maxima(max_pool, case, seed):
    """Moving the input by multiples of the stride moves the maxima of all windows inside it."""
    pooling_moves(max_pool, case, seed)


@law(case=whole, seed=SEEDS, share=0.2)
def test_shifting_the_input_shifts_the_averages(avg_pool, case, seed):
    """Moving the input by multiples of the stride moves the averages of all windows inside it."""
    pooling_moves(avg_pool, case, seed)


def signal_moves(judged, case, seed):
    case = fresh(case, seed, without(case, "mode"))
    f = case.operands["in1"]
    move = steps(np.random.default_rng(seed), f.ndim)
    early, late = (case.with_operands(in1=np.pad(f, [(0, t)[::turn] for t in move])) for turn in (1, -1))
    expected = mapped(ask(judged, early), lambda end: np.roll(end, move, tuple(range(f.ndim))))
    agree(ask(judged, late), expected, late, "a shifted operand does not shift the result")


@law(case=whole, seed=SEEDS, share=0.25)
def test_shifting_an_operand_shifts_the_convolution(convolve, case, seed):
    """The full convolution moves with its first operand."""
    signal_moves(convolve, case, seed)


@law(case=whole, seed=SEEDS, share=0.25)
def test_shifting_an_operand_shifts_the_correlation(correlate, case, seed):
    """The full correlation moves with its first operand."""
    signal_moves(correlate, case, seed)


# ---------------------------------------------------------------------------------------- negative controls

IMAGE = ((7, 0, 2, 1, 9), (0, 8, 1, 0, 3), (1, 0, 0, 6, 0), (5, 2, 9, 0, 4), (0, 1, 0, 7, 2))
KERNEL = ((9, 0, -2), (1, 5, 0), (0, -3, 1))


def fixed_image(operation, scope):
    """One image without symmetry, in every dtype; of the last rows alone where there are fewer axes."""
    rank = operation.rank
    image = np.multiply.outer((3, 1, 0, 2, 1), IMAGE) if rank == 3 else np.array(IMAGE)[(3,) * (2 - rank)]
    kernel = np.multiply.outer((2, 0, 1), KERNEL) if rank == 3 else np.array(KERNEL)[(0,) * (2 - rank)]
    operands = {"input": image[None, None].astype(np.float64), "weight": kernel[None, None].astype(np.float64)}

    def case(dtype):
        typed = {name: np.array(a, order="C").astype(numpy_dtype(dtype)) for name, a in operands.items()}
        return Case(operation, typed, {}, dtype, "denseint")

    return st.sampled_from(tuple(scope.dtypes)).map(case)


def differ(left, right, case, reason):
    """No exact value explains both everywhere."""
    try:
        agree(left, right, case, reason)
    except Violation:
        return
    raise Violation(reason, case)


@law(case=fixed_image, share=0.2)
def test_rotating_the_input_does_not_rotate_the_output(conv, case):
    """Convolution has no rotation equivariance: a quarter turn (a reflection in one dimension) changes the values."""

    def turn(array):
        return np.ascontiguousarray(np.rot90(array, axes=(-2, -1)) if case.operation.rank > 1 else array[..., ::-1])

    rotated = case.with_operands(input=turn(case.operands["input"]))
    right = mapped(ask(conv, case), turn)
    differ(ask(conv, rotated), right, rotated, "rotating the input rotates the output, which it must not")


@law(case=fixed_image, share=0.2)
def test_enlarging_the_input_does_not_enlarge_the_output(conv, case):
    """Convolution has no scale equivariance: repeating every cell twice changes more than the size."""
    large = case.operands["input"]
    for axis in range(2, large.ndim):
        large = np.repeat(large, 2, axis)
    large = case.with_operands(input=np.ascontiguousarray(large))
    size = case.shapes["output"][2:]
    left = mapped(ask(conv, large), cut(*(slice(0, 2 * n, 2) for n in size)))
    differ(left, ask(conv, case), large, "enlarging the input enlarges the output, which it must not")


# ------------------------------------------------------------------------------- padding, stride, dilation


@law(case=whole, seed=SEEDS, share=0.25)
def test_padding_is_a_border_of_zeros(conv, case, seed):
    """Padding gives what an input with zeros around it gives without padding."""
    case = fresh(case, seed)
    border = padded(case.operands["input"], case.conv.padding)
    explicit = replace(case.with_operands(input=border), arguments=without(case, "padding"))
    agree(ask(conv, case), ask(conv, explicit), case, "padding is not a border of zeros")


@law(case=whole, seed=SEEDS, share=0.25)
def test_stride_leaves_out_outputs(conv, case, seed):
    """A stride keeps every s-th output of stride 1."""
    case = fresh(case, seed)
    dense = replace(case, arguments=without(case, "stride"))
    keep = cut(*(slice(None, None, s) for s in case.conv.stride))
    agree(ask(conv, case), mapped(ask(conv, dense), keep), case, "stride is not subsampling")


@law(case=whole, seed=SEEDS, share=0.25)
def test_dilation_is_a_kernel_with_zeros_between(conv, case, seed):
    """A dilated kernel is the kernel with d - 1 zeros between its taps."""
    case = fresh(case, seed)
    kernel = stuffed(case.operands["weight"], case.conv.dilation)
    dense = replace(case.with_operands(weight=kernel), arguments=without(case, "dilation"))
    agree(ask(conv, case), ask(conv, dense), case, "dilation is not a kernel with zeros between its taps")


@law(case=whole, seed=SEEDS, share=0.25)
def test_transposed_stride_is_an_input_with_zeros_between(conv_transpose, case, seed):
    """A transposed stride spreads the input: s - 1 zeros between neighbours, output padding zeros at the end."""
    case = fresh(case, seed)
    spread = stuffed(case.operands["input"], case.conv.stride, case.output_padding)
    dense = replace(case.with_operands(input=spread), arguments=without(case, "stride", "output_padding"))
    right = ask(conv_transpose, dense)
    agree(ask(conv_transpose, case), right, case, "a transposed stride is not zeros between the input cells")


def unextended(case, seed):
    """A transposed call without output padding, with an input large enough to have an output."""
    spec, x, kernel = case.conv, case.operands["input"].shape, case.operands["weight"].shape[2:]
    axes = zip(x[2:], spec.extent(kernel), spec.padding, spec.stride, strict=True)
    size = [max(n, -((e - 1 - a - b) // s) + 1) for n, e, (a, b), s in axes]
    return fresh(case, seed, without(case, "output_padding"), input=(*x[:2], *size))


@law(case=whole, seed=SEEDS, share=0.2)
def test_transposed_dilation_is_a_kernel_with_zeros_between(conv_transpose, case, seed):
    """A dilated kernel is the kernel with d - 1 zeros between its taps."""
    plain = unextended(case, seed)
    kernel = stuffed(plain.operands["weight"], plain.conv.dilation)
    dense = replace(plain.with_operands(weight=kernel), arguments=without(plain, "dilation"))
    right = ask(conv_transpose, dense)
    agree(ask(conv_transpose, plain), right, plain, "dilation is not a kernel with zeros between its taps")


@law(case=whole, seed=SEEDS, share=0.25)
def test_transposed_padding_cuts_the_full_result(conv_transpose, case, seed):
    """Padding of a transposed convolution takes rows away from the full result, before and after."""
    plain = unextended(case, seed)
    full = replace(plain, arguments=without(plain, "padding"))
    pairs = zip(plain.conv.padding, plain.shapes["output"][2:], strict=True)
    right = mapped(ask(conv_transpose, full), cut(*(slice(a, a + n) for (a, _), n in pairs)))
    agree(ask(conv_transpose, plain), right, plain, "transposed padding is not cut from the full result")


@law(case=whole, seed=SEEDS, share=0.25)
def test_output_padding_adds_rows_of_bias(conv_transpose, case, seed):
    """Output padding adds rows after the full result that hold the bias alone; the others stay as they were."""
    extra = case.output_padding
    if not any(extra):
        most = [max(pair) - 1 for pair in zip(case.conv.stride, case.conv.dilation, strict=True)]
        extra = [int(v) for v in np.random.default_rng(seed).integers(0, most, endpoint=True)]
    plain = fresh(case, seed, without(case, "padding", "output_padding"))
    longer = replace(plain, arguments={**plain.arguments, **({"output_padding": short(extra)} if any(extra) else {})})
    bias = plain.operands.get("bias", np.zeros(out_channels(plain))).astype(np.float64)
    rows = points(np.broadcast_to(bias.reshape(1, -1, *(1,) * len(extra)), longer.shapes["output"]))["output"]
    found, inside = ask(conv_transpose, plain)["output"], cut(*map(slice, plain.shapes["output"][2:]))
    low, high = rows.low.copy(), rows.high.copy()
    inside(low)[...], inside(high)[...] = found.low, found.high
    reason = "output padding does not only add rows of bias"
    agree(ask(conv_transpose, longer), {"output": Interval(low, high)}, longer, reason)


def roomy(case):
    """The input's shape, made large enough for one whole window: ceil mode does without."""
    x, spec = case.operands["input"].shape, case.pool
    axes = zip(x[2:], spec.extent, spec.padding, strict=True)
    return (*x[:2], *(max(n, e - a - b) for n, e, (a, b) in axes))


counted = drawn(families=("denseint",), empty=False, fix={"count_include_pad": True})


@law(case=counted, seed=SEEDS, share=0.2)
def test_padding_counts_as_zeros_in_an_average(avg_pool, case, seed):
    """Where padding counts, it gives what a border of zeros gives without padding."""
    if not case.pool.count_include_pad:
        raise NotApplicable("`count_include_pad` is held fast")
    floor = fresh(case, seed, without(case, "ceil_mode"), input=roomy(case))
    border = padded(floor.operands["input"], floor.pool.padding)
    explicit = replace(floor.with_operands(input=border), arguments=without(floor, "padding"))
    right = ask(avg_pool, explicit)
    agree(ask(avg_pool, floor), right, floor, "padding is not a border of zeros that counts")


def pooling_stride(judged, case, seed):
    floor = fresh(case, seed, without(case, "ceil_mode"), input=roomy(case))
    dense = replace(floor, arguments={**floor.arguments, "stride": 1})
    keep = cut(*(slice(None, None, s) for s in case.pool.stride))
    agree(ask(judged, floor), mapped(ask(judged, dense), keep), floor, "stride is not subsampling")


@law(case=whole, seed=SEEDS, share=0.2)
def test_stride_leaves_out_maxima(max_pool, case, seed):
    """A stride keeps every s-th maximum of stride 1."""
    pooling_stride(max_pool, case, seed)


@law(case=whole, seed=SEEDS, share=0.2)
def test_stride_leaves_out_averages(avg_pool, case, seed):
    """A stride keeps every s-th average of stride 1."""
    pooling_stride(avg_pool, case, seed)


# ---------------------------------------------------------------------------------------- channels, groups


def blocks(length, groups):
    """The channels of each group."""
    size = length // groups
    return [slice(g * size, (g + 1) * size) for g in range(groups)]


def some(groups, seed):
    """A few of them, the first and the last always."""
    middle = np.random.default_rng(seed).integers(groups)
    return sorted({0, int(middle), groups - 1})


def single_group(case, g):
    """The call on one group alone."""
    groups, ops = case.conv.groups, case.operands
    x, w = blocks(ops["input"].shape[1], groups)[g], blocks(ops["weight"].shape[0], groups)[g]
    operands = {"input": ops["input"][:, x], "weight": ops["weight"][w]}
    if "bias" in ops:
        operands["bias"] = ops["bias"][blocks(len(ops["bias"]), groups)[g]]
    operands = {name: np.ascontiguousarray(a) for name, a in operands.items()}
    return replace(case, operands=operands, arguments=without(case, "groups"))


def beside(found):
    """Results of several calls, the channels of one behind those of the other."""
    return {"output": joined([f["output"] for f in found], axis=1)}


def groups_apart(judged, case, seed):
    case = fresh(case, seed)
    groups = case.conv.groups
    chosen, outputs = some(groups, seed), blocks(out_channels(case), groups)
    left = ask(judged, case)
    alone = beside([ask(judged, single_group(case, g)) for g in chosen])
    channels = np.concatenate([np.r_[outputs[g]] for g in chosen])
    agree(mapped(left, lambda end: end[:, channels]), alone, case, "groups are not separate convolutions")


@law(case=whole, seed=SEEDS, share=0.25)
def test_groups_are_separate_convolutions(conv, case, seed):
    """The result of a grouped convolution is those of its groups, each convolved alone, one behind the other."""
    groups_apart(conv, case, seed)


@law(case=whole, seed=SEEDS, share=0.25)
def test_groups_are_separate_transposed_convolutions(conv_transpose, case, seed):
    """The result of a grouped transposed convolution is those of its groups, one behind the other."""
    groups_apart(conv_transpose, case, seed)


@law(case=whole, seed=SEEDS, share=0.2)
def test_depthwise_convolution_takes_each_channel_alone(conv, case, seed):
    """With as many groups as channels, each channel is convolved with its own kernels."""
    x, w = case.operands["input"].shape, case.operands["weight"].shape
    channels, multiplier = max(2, min(x[1], 9)), 1 + seed % 2
    shapes = {"input": (x[0], channels, *x[2:]), "weight": (channels * multiplier, 1, *w[2:])}
    if "bias" in case.operands:
        shapes["bias"] = (channels * multiplier,)
    deep = fresh(case, seed, {**case.arguments, "groups": channels}, **shapes)
    chosen = some(channels, seed)
    alone = beside([ask(conv, single_group(deep, c)) for c in chosen])
    outputs = np.concatenate([c * multiplier + np.arange(multiplier) for c in chosen])
    left = mapped(ask(conv, deep), lambda end: end[:, outputs])
    agree(left, alone, deep, "a depthwise convolution does not take each channel alone")


def channel_mixes(x, w, groups):
    """(N, C, P) and (O, C/groups) -> (N, O, P), in integers."""
    out = [
        np.einsum("ncp,oc->nop", x[:, i].astype(np.int64), w[o].astype(np.int64))
        for i, o in zip(blocks(x.shape[1], groups), blocks(len(w), groups), strict=True)
    ]
    return np.concatenate(out, axis=1)


@law(case=whole, seed=SEEDS, share=0.2)
def test_pointwise_convolution_is_a_matrix_product_over_channels(conv, case, seed):
    """A kernel of size one multiplies the channels of each cell by a matrix."""
    w = case.operands["weight"].shape
    one = fresh(case, seed, without(case, "dilation"), weight=(*w[:2], *(1 for _ in w[2:])), bias=None)
    cells = padded(one.operands["input"], one.conv.padding)[(..., *(slice(None, None, s) for s in one.conv.stride))]
    flat = cells.reshape(*cells.shape[:2], prod(cells.shape[2:]))
    expected = channel_mixes(flat, one.operands["weight"].reshape(w[:2]), one.conv.groups)
    right = points(expected.reshape(one.shapes["output"]))
    agree(ask(conv, one), right, one, "a pointwise convolution is not a matrix product over channels")


@law(case=whole, seed=SEEDS, share=0.2)
def test_kernel_as_large_as_the_input_is_a_dense_layer(conv, case, seed):
    """A kernel of the input's size gives one scalar product for each output channel."""
    x, w, groups = case.operands["input"].shape, case.operands["weight"].shape, case.conv.groups
    per_group = min(w[1], 16)
    shapes = {"input": (x[0], per_group * groups, *x[2:]), "weight": (w[0], per_group, *x[2:]), "bias": None}
    dense = fresh(case, seed, without(case, "padding", "dilation"), **shapes)
    image = dense.operands["input"].reshape(x[0], groups, per_group * prod(x[2:])).astype(np.int64)
    rows = dense.operands["weight"].reshape(groups, w[0] // groups, -1).astype(np.int64)
    expected = np.einsum("ngk,gok->ngo", image, rows).reshape(dense.shapes["output"])
    agree(ask(conv, dense), points(expected), dense, "a kernel of the input's size is not a dense layer")


def shuffled(rng, length, groups, across):
    """A new order of channels within each group, the same in all; of the groups too where given."""
    size = length // groups
    within = rng.permutation(size)
    return np.concatenate([g * size + within for g in (range(groups) if across is None else across)]).astype(int)


def taken(array, order, axis=0):
    return np.ascontiguousarray(np.take(array, order, axis))


@law(case=whole, seed=SEEDS, share=0.2)
def test_input_channels_have_no_order(conv, case, seed):
    """Reordering the input channels together with the kernel's leaves the result as it is."""
    case, rng = fresh(case, seed), np.random.default_rng(seed)
    x, w, groups = case.operands["input"], case.operands["weight"], case.conv.groups
    within = rng.permutation(w.shape[1])
    order = np.concatenate([g * w.shape[1] + within for g in range(groups)]).astype(int)
    other = case.with_operands(input=taken(x, order, 1), weight=taken(w, within, 1))
    agree(ask(conv, other), ask(conv, case), other, "the order of the input channels matters")


@law(case=whole, seed=SEEDS, share=0.2)
def test_input_channels_of_a_transposed_convolution_have_no_order(conv_transpose, case, seed):
    """Reordering the input channels together with the kernel's leaves the result as it is."""
    case, rng = fresh(case, seed), np.random.default_rng(seed)
    order = shuffled(rng, case.operands["weight"].shape[0], case.conv.groups, None)
    x, w = taken(case.operands["input"], order, 1), taken(case.operands["weight"], order)
    other = case.with_operands(input=x, weight=w)
    right = ask(conv_transpose, case)
    agree(ask(conv_transpose, other), right, other, "the order of the input channels matters")


def output_order(judged, case, seed):
    """Groups in another order, and output channels in another order within them."""
    case, rng = fresh(case, seed), np.random.default_rng(seed)
    x, w, groups = case.operands["input"], case.operands["weight"], case.conv.groups
    across = rng.permutation(groups)
    outputs = shuffled(rng, out_channels(case), groups, across)
    inputs = np.concatenate([np.r_[blocks(x.shape[1], groups)[g]] for g in across]).astype(int)
    if case.operation.kind == "conv":
        kernel = taken(w, outputs)
    else:  # (C, O/groups, ...): the order within a group is on the second axis
        kernel = taken(taken(w, inputs), outputs[: w.shape[1]] % w.shape[1], 1)
    operands = {"input": taken(x, inputs, 1), "weight": kernel}
    if "bias" in case.operands:
        operands["bias"] = taken(case.operands["bias"], outputs)
    other = case.with_operands(**operands)
    right = mapped(ask(judged, case), lambda end: end[:, outputs])
    agree(ask(judged, other), right, other, "reordering groups and kernels does not reorder the output channels")


@law(case=whole, seed=SEEDS, share=0.2)
def test_output_channels_follow_their_kernels(conv, case, seed):
    """Kernels in another order give the same output channels in that order; so do whole groups."""
    output_order(conv, case, seed)


@law(case=whole, seed=SEEDS, share=0.2)
def test_transposed_output_channels_follow_their_kernels(conv_transpose, case, seed):
    """Kernels in another order give the same output channels in that order; so do whole groups."""
    output_order(conv_transpose, case, seed)


# ---------------------------------------------------------------------------------------------------- batch


def alone_and_among(judged, case, seed, where):
    """The intervals of one part of the batch, by itself and out of the whole batch, and the call on that."""
    values = case.operands["input"]
    alone = case.with_operands(input=values[where].copy())
    # two real images may share one complex transform: there the others are numbers too
    loud = judged.claims(case).algorithm != "fft"
    among = np.full_like(values, np.nan) if loud else fresh(case, seed + 1).operands["input"]
    among[where] = values[where]
    batch = case.with_operands(input=among)
    single = ask(judged, alone)
    found = {name: a[where] for name, a in judged(batch).items()}
    if case.operation.kind == "max_pool":
        return single, points(found["output"]), batch
    return single, judge.enclosures(found, alone, judged.claims(batch)), batch


def image_alone(judged, case, seed):
    """An image among others that are NaN gives what it gives alone."""
    x = case.operands["input"].shape
    batch = fresh(case, seed, input=(max(2, x[0]), *x[1:]))
    i = int(np.random.default_rng(seed).integers(max(2, x[0])))
    alone, among, call = alone_and_among(judged, batch, seed, np.s_[i : i + 1])
    agree(among, alone, call, "other images of the batch change the result of one")


@law(case=whole, seed=SEEDS, share=0.25)
def test_images_do_not_mix(conv, case, seed):
    """Each image gives what it gives alone, whatever the others of the batch hold."""
    image_alone(conv, case, seed)


@law(case=whole, seed=SEEDS, share=0.2)
def test_images_do_not_mix_in_a_transposed_convolution(conv_transpose, case, seed):
    """Each image gives what it gives alone, whatever the others of the batch hold."""
    image_alone(conv_transpose, case, seed)


def reordered_batch(judged, case, seed):
    x = case.operands["input"].shape
    batch = fresh(case, seed, input=(max(3, x[0]), *x[1:]))
    order = np.random.default_rng(seed).permutation(max(3, x[0]))
    other = batch.with_operands(input=taken(batch.operands["input"], order))
    right = mapped(ask(judged, batch), lambda end: end[order])
    agree(ask(judged, other), right, other, "reordering the batch does not reorder the result")


@law(case=whole, seed=SEEDS, share=0.2)
def test_results_follow_their_images(conv, case, seed):
    """Images in another order give their results in that order."""
    reordered_batch(conv, case, seed)


@law(case=whole, seed=SEEDS, share=0.2)
def test_transposed_results_follow_their_images(conv_transpose, case, seed):
    """Images in another order give their results in that order."""
    reordered_batch(conv_transpose, case, seed)


def planes_apart(judged, case, seed):
    """One channel of one image among NaN gives what it gives alone."""
    rng, x = np.random.default_rng(seed), case.operands["input"].shape
    sizes = max(2, x[0]), max(2, x[1])
    batch = fresh(case, seed, input=(*sizes, *x[2:]))
    i, c = (int(rng.integers(n)) for n in sizes)
    alone, among, call = alone_and_among(judged, batch, seed, np.s_[i : i + 1, c : c + 1])
    agree(among, alone, call, "other channels or images change the result of one")


@law(case=whole, seed=SEEDS, share=0.2)
def test_maxima_of_a_channel_are_its_own(max_pool, case, seed):
    """Each channel of each image is pooled alone, whatever the others hold."""
    planes_apart(max_pool, case, seed)


@law(case=whole, seed=SEEDS, share=0.2)
def test_averages_of_a_channel_are_its_own(avg_pool, case, seed):
    """Each channel of each image is pooled alone, whatever the others hold."""
    planes_apart(avg_pool, case, seed)


BATCHED = ("input", "grad_output")


@law(characteristic="batch_invariant", case=strategies.cases, share=0.25)
def test_results_do_not_depend_on_the_batch(batched, case):
    """An image's result is the same bit for bit alone, among others, and at another place in the batch."""
    lead = [name for name in case.operands if name in BATCHED]
    names = [n for n in case.operation.results if n not in ("grad_weight", "grad_bias")]  # sums over the batch
    results, reason = batched(case), "the result of an image depends bit for bit on the rest of the batch"
    count = len(case.operands["input"])
    for i in some(count, 0) if count else ():
        alone = case.with_operands(**{n: case.operands[n][i : i + 1].copy() for n in lead})
        single = batched(alone)
        for name in names:
            judge.same_bits(results[name][i : i + 1], single[name], case, reason, name)
    backward = batched(case.with_operands(**{n: case.operands[n][::-1].copy() for n in lead}))
    for name in names:
        judge.same_bits(results[name], backward[name][::-1], case, reason, name)


@law(characteristic="deterministic", case=strategies.cases, share=0.25)
def test_repeated_calls_agree_bit_for_bit(operation, case):
    """The same call gives the same bits again."""
    first = operation(case)
    for _ in range(3):
        for name, again in operation(case).items():
            judge.same_bits(again, first[name], case, "the same call gives other bits", name)


# ------------------------------------------------------------------------------------------ flips and turns


def evened(case, seed, scope):
    """The call, of a size that leaves no remainder, and its padding seen in a mirror on some axes."""
    spec, x, kernel = case.conv, case.operands["input"].shape, case.operands["weight"].shape[2:]
    axes = some_axes(np.random.default_rng(seed), case.operation.rank)
    rooms = zip(x[2:], spec.padding, spec.extent(kernel), spec.stride, strict=True)
    sizes = [n + -(n + a + b - e) % s for n, (a, b), e, s in rooms]
    uneven = any(a != b for a, b in spec.padding)
    if uneven and not scope.pairs:  # "same" with an odd total: zeros of the input instead
        sizes = [n + a + b for n, (a, b) in zip(sizes, spec.padding, strict=True)]
        arguments = mirror = without(case, "padding")
    else:
        arguments = mirror = dict(case.arguments)
        if uneven:
            pairs = tuple(p[::-1] if i in axes else p for i, p in enumerate(spec.padding))
            mirror = {**arguments, "padding": pairs}
    return fresh(case, seed, arguments, input=(*x[:2], *sizes)), mirror, axes


def flipped(judged, case, mirror, axes):
    operands = {name: mirrored(case.operands[name], axes) for name in ("input", "weight")}
    other = replace(case.with_operands(**operands), arguments=mirror)
    right = mapped(ask(judged, case), lambda end: mirrored(end, axes))
    agree(ask(judged, other), right, other, "mirrored operands do not mirror the result")


@law(case=whole, seed=SEEDS, share=0.2)
def test_flipping_both_operands_flips_the_result(conv, case, seed):
    """Input and kernel mirrored on the same axes give the result mirrored on them."""
    even, mirror, axes = evened(case, seed, conv.subject.scope)
    flipped(conv, even, mirror, axes)


@law(case=whole, seed=SEEDS, share=0.2)
def test_flipping_both_operands_flips_the_transposed_result(conv_transpose, case, seed):
    """Input and kernel mirrored on the same axes give the result mirrored on them."""
    plain = unextended(case, seed)
    axes = some_axes(np.random.default_rng(seed), case.operation.rank)
    mirror = dict(plain.arguments)
    if any(a != b for a, b in plain.conv.padding):
        mirror["padding"] = tuple(p[::-1] if i in axes else p for i, p in enumerate(plain.conv.padding))
    flipped(conv_transpose, plain, mirror, axes)


def transposed(judged, case, seed):
    """The spatial axes in reverse order: with one axis nothing changes."""
    case = fresh(case, seed)
    rank = case.operation.rank or case.operands["in1"].ndim
    order = tuple(range(rank))[::-1]
    lead = 0 if not case.operation.rank else 2
    back = (*range(lead), *(lead + i for i in order))
    other = turned(case, order)
    right = mapped(ask(judged, case), lambda end: end.transpose(back))
    agree(ask(judged, other), right, other, "exchanging the axes of all operands does not exchange the result's")


@law(case=whole, seed=SEEDS, share=0.2)
def test_exchanging_axes_exchanges_those_of_the_convolution(conv, case, seed):
    """Spatial axes of input, kernel and arguments in reverse order give the result's in reverse order."""
    transposed(conv, case, seed)


@law(case=whole, seed=SEEDS, share=0.2)
def test_exchanging_axes_exchanges_those_of_the_transposed_convolution(conv_transpose, case, seed):
    """Spatial axes of input, kernel and arguments in reverse order give the result's in reverse order."""
    transposed(conv_transpose, case, seed)


@law(case=whole, seed=SEEDS, share=0.2)
def test_exchanging_axes_exchanges_those_of_the_maxima(max_pool, case, seed):
    """Spatial axes of input and window in reverse order give the result's in reverse order."""
    transposed(max_pool, case, seed)


@law(case=whole, seed=SEEDS, share=0.2)
def test_exchanging_axes_exchanges_those_of_the_averages(avg_pool, case, seed):
    """Spatial axes of input and window in reverse order give the result's in reverse order."""
    transposed(avg_pool, case, seed)


@law(case=whole, seed=SEEDS, share=0.25)
def test_exchanging_axes_exchanges_those_of_the_signal_convolution(convolve, case, seed):
    """Axes of both operands in reverse order give the result's in reverse order."""
    transposed(convolve, case, seed)


@law(case=whole, seed=SEEDS, share=0.25)
def test_exchanging_axes_exchanges_those_of_the_correlation(correlate, case, seed):
    """Axes of both operands in reverse order give the result's in reverse order."""
    transposed(correlate, case, seed)


# ------------------------------------------------------------------------------------- fewer axes at a time


def per_axis(case):
    """The arguments with one entry for each axis, "same" as it is."""
    spec = case.conv
    padding = case.settings["padding"] if isinstance(case.settings["padding"], str) else spec.padding
    return {"stride": spec.stride, "dilation": spec.dilation, "padding": padding}


def plainly(arguments):
    """Per-axis arguments as most people write them."""
    out = {}
    for name, values in arguments.items():
        if isinstance(values, str):
            out[name] = values
        elif name == "padding":
            if any(map(any, values)):
                even = all(a == b for a, b in values)
                out[name] = short([a for a, _ in values]) if even else tuple(values)
        elif any(v != 1 for v in values):
            out[name] = short(values)
    return out


NEUTRAL = {"stride": 1, "dilation": 1, "padding": (0, 0)}
NO_PADDING = ((0, 0),) * 3


def only_along(case, axis):
    """The arguments of the call along one axis, neutral ones along the others."""
    out = {}
    for name, values in per_axis(case).items():
        plain = NEUTRAL[name]
        out[name] = values if isinstance(values, str) else [v if i == axis else plain for i, v in enumerate(values)]
    return plainly(out)


@law(case=whole, seed=SEEDS, share=0.2)
def test_separable_kernel_is_convolutions_along_one_axis_each(conv, case, seed):
    """An outer product as the kernel gives what its factors give one after the other."""
    x, kernel = case.operands["input"].shape, case.operands["weight"].shape[2:]
    rng, rank, dtype = np.random.default_rng(seed), case.operation.rank, numpy_dtype(case.dtype)
    # every intermediate sum stays exact in the dtype: factors of -1, 0 and 1
    bound = max(1, (2 ** min(format_of(case.dtype).precision, 20) - 1) // prod(kernel))
    image = integers(rng, (x[0], 1, *x[2:]), bound, case.dtype)
    factors = [integers(rng, (k,), 1, "float64") for k in kernel]
    outer = factors[0]
    for factor in factors[1:]:
        outer = np.multiply.outer(outer, factor)
    at_once = replace(
        case, operands={"input": image, "weight": outer[None, None].astype(dtype)}, arguments=without(case, "groups")
    )
    for axis, factor in enumerate(factors):
        weight = factor.reshape(1, 1, *(-1 if i == axis else 1 for i in range(rank))).astype(dtype)
        one = replace(case, operands={"input": image, "weight": weight}, arguments=only_along(case, axis))
        found = ask(conv, one)
        if axis < rank - 1:
            image = as_operand(whole_numbers(found, one), one)
    agree(ask(conv, at_once), found, at_once, "a separable kernel differs from its factors in sequence")


def without_axis(case, axis):
    """The call of the operation with one axis less, that axis left out."""
    arguments = {
        name: values if isinstance(values, str) else [v for i, v in enumerate(values) if i != axis]
        for name, values in per_axis(case).items()
    }
    operands = {n: np.take(a, 0, 2 + axis) if a.ndim > 1 else a for n, a in case.operands.items()}
    return in_rank(case, case.operation.rank - 1, operands, arguments)


def with_axis(case, axis):
    """The call of the operation with one axis more, of size one."""
    arguments = {
        name: values if isinstance(values, str) else [*values[:axis], NEUTRAL[name], *values[axis:]]
        for name, values in per_axis(case).items()
    }
    operands = {n: np.expand_dims(a, 2 + axis) if a.ndim > 1 else a for n, a in case.operands.items()}
    return in_rank(case, case.operation.rank + 1, operands, arguments)


def in_rank(case, rank, operands, arguments):
    arguments = plainly(arguments)
    if "groups" in case.arguments:
        arguments["groups"] = case.arguments["groups"]
    operands = {name: np.ascontiguousarray(a) for name, a in operands.items()}
    return replace(case, operation=OPERATIONS[f"conv{rank}d"], operands=operands, arguments=arguments)


@law(case=whole, seed=SEEDS, share=0.2)
def test_an_axis_of_size_one_can_be_left_out(conv, case, seed):
    """An image and a kernel of size one along an axis give what the operation with an axis less gives."""
    rank = case.operation.rank
    axis = seed % max(rank, 2)
    few = fresh(without_axis(case, axis) if rank > 1 else case, seed)
    many = with_axis(few, axis)
    left, right = (
        ask(conv if call.operation.rank == rank else conv.sibling(call.operation.name), call) for call in (many, few)
    )
    expected = mapped(right, lambda end: np.expand_dims(end, 2 + axis))
    agree(left, expected, many, "an axis of size one changes the result")


# ------------------------------------------------------------------------------------------ receptive field


def chosen_cells(rng, size, inside, most=8):
    """Some of the cells that one output should see and some of all cells."""
    cells = [inside[i] for i in rng.permutation(len(inside))[:most]]
    cells += [tuple(int(rng.integers(n)) for n in size) for _ in range(most)]
    return list(dict.fromkeys(cells))


def impulses(cells, channels, channel, size, dtype):
    """One image for each cell: one there, zero elsewhere."""
    images = np.zeros((len(cells), channels, *size), numpy_dtype(dtype))
    for i, cell in enumerate(cells):
        images[(i, channel, *cell)] = 1
    return images


@law(case=whole, seed=SEEDS, share=0.25)
def test_an_output_sees_exactly_its_receptive_field(conv, case, seed):
    """Under a kernel of ones, an input cell shows in an output exactly where that output's taps hold the cell."""
    rng, spec = np.random.default_rng(seed), case.conv
    x, w = case.operands["input"].shape, case.operands["weight"].shape
    output = case.shapes["output"]
    at = tuple(int(rng.integers(n)) for n in output[2:])
    inside = taps(spec, x[2:], w[2:], at)
    cells, channel = chosen_cells(rng, x[2:], inside), int(rng.integers(x[1]))
    images, kernel = impulses(cells, x[1], channel, x[2:], case.dtype), np.ones(w, numpy_dtype(case.dtype))
    probe = replace(case, operands={"input": images, "weight": kernel})
    seen = np.array([cell in set(inside) for cell in cells], dtype=np.float64)
    group = np.arange(w[0]) // (w[0] // spec.groups) == channel // w[1]
    found = mapped(ask(conv, probe), lambda end: end[(slice(None), slice(None), *at)])
    agree(found, points(np.outer(seen, group)), probe, f"output {at} does not see exactly its receptive field")


def window_cells(judged, case, seed):
    """(images seen by a window among others, intervals of that window, the call)."""
    rng, spec = np.random.default_rng(seed), case.pool
    x, output = case.operands["input"].shape, case.shapes["output"]
    at = tuple(int(rng.integers(n)) for n in output[2:])
    inside = taps(spec, x[2:], spec.kernel_size, at)
    cells, channel = chosen_cells(rng, x[2:], inside), int(rng.integers(x[1]))
    probe = case.with_operands(input=impulses(cells, x[1], channel, x[2:], case.dtype))
    seen = np.array([cell in set(inside) for cell in cells], dtype=np.float64)
    found = mapped(ask(judged, probe), lambda end: end[(slice(None), slice(None), *at)])
    return np.outer(seen, np.arange(x[1]) == channel), found, probe


@law(case=whole, seed=SEEDS, share=0.2)
def test_a_maximum_sees_exactly_its_window(max_pool, case, seed):
    """A single one among zeros is the maximum of exactly the windows that hold its cell."""
    seen, found, probe = window_cells(max_pool, case, seed)
    agree(found, points(seen), probe, "a maximum does not see exactly its window")


@law(case=whole, seed=SEEDS, share=0.2)
def test_an_average_sees_exactly_its_window(avg_pool, case, seed):
    """A single one among zeros shows in the average of exactly the windows that hold its cell."""
    seen, found, probe = window_cells(avg_pool, case, seed)
    least = 1 / (2 * prod(case.pool.kernel_size))
    between = {"output": Interval(np.where(seen, least, 0.0), np.where(seen, 1.0, 0.0))}
    agree(found, between, probe, "an average does not see exactly its window")


@law(case=whole, seed=SEEDS, share=0.2)
def test_two_layers_see_the_predicted_receptive_field(conv, case, seed):
    """Two layers in sequence see 1 + (F - 1) + (F - 1) S cells along an axis: both ends, but not their neighbours."""
    w, spec, last = case.operands["weight"].shape[2:], case.conv, case.operation.rank - 1
    # strides along the last axis only, unless held fast, keep the image small
    stride = spec.stride if "stride" in conv.subject.scope.fix else (1,) * last + spec.stride[last:]
    fields = [receptive_field([Layer(k, s, d)] * 2) for k, s, d in zip(w, stride, spec.dilation, strict=True)]
    field = fields[last].positions(1)  # of the second output along the last axis, the first along the others
    size = [f.size for f in fields[:last]] + [field.stop + 1]
    cells = [(0,) * last + (i,) for i in (field.start - 1, field.start, field.stop - 1, field.stop)]
    arguments = plainly({"stride": stride, "dilation": spec.dilation, "padding": NO_PADDING[: last + 1]})
    operands = {
        "input": impulses(cells, 1, 0, size, case.dtype),
        "weight": np.ones((1, 1, *w), numpy_dtype(case.dtype)),
    }
    first = replace(case, operands=operands, arguments=arguments)
    second = first.with_operands(input=as_operand(whole_numbers(ask(conv, first), first), first))
    seen = mapped(ask(conv, second), lambda end: end[(slice(None), 0, *(0,) * last, 1)])
    agree(seen, points([0.0, 1.0, 1.0, 0.0]), first, "two layers do not see the predicted receptive field")
