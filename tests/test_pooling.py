"""Pooling and its gradients against PyTorch, against the definition, and every way against every other, bit for bit."""

from __future__ import annotations

from itertools import product
from math import prod

import ml_dtypes
import numpy as np
import pytest

import refconv.algorithms.pooling as algorithms
import refconv.pooling as doors
from refconv.algorithms.pooling import AVG_POOL, AVG_POOL_BACKWARD, MAX_POOL, MAX_POOL_BACKWARD, max_pool_indices
from refconv.receptive import taps
from refconv.signal import correlate
from refconv.spec import pool_spec

torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")

WAYS = {
    "max_pool": MAX_POOL,
    "avg_pool": AVG_POOL,
    "max_pool_backward": MAX_POOL_BACKWARD,
    "avg_pool_backward": AVG_POOL_BACKWARD,
}
X4 = [[3.0, 2, 0, 1], [0, 2, 1, 2], [2, 0, 0, 3], [2, 3, 1, 2]]
GREEN = [[3.0, 2, 0, 1], [2, 1, 0, 1], [1, 0, 2, 1], [2, 1, 0, 0]]
BLUE = [[4.0, 2, 0, 1], [0, 3, 1, 0], [3, 1, 0, 2], [2, 2, 0, 1]]
TURN = 12  # lcm of 1 ... 4: any window of at most four cells on an axis divides it


def methods(kind):
    return ["auto", *WAYS[kind]]


def same(actual, expected):
    """Equal in format, shape and every value, NaN in the same places; the sign of zero is left open."""
    assert (actual.dtype, actual.shape) == (expected.dtype, expected.shape)
    if actual.dtype.kind not in "iu":  # float64 holds every other format exactly, and knows its NaN
        actual, expected = actual.astype(np.float64), expected.astype(np.float64)
    np.testing.assert_array_equal(actual, expected)


def geometries(rank, dilate, count=40):
    """Input sizes with arguments that PyTorch accepts, each window holding at least one cell of the input."""
    rng = np.random.default_rng(100 * rank + dilate)
    for _ in range(count):
        kernel = rng.integers(1, 5, rank)
        dilation = rng.integers(1, 4, rank) if dilate else np.ones(rank, int)
        size = dilation * (kernel - 1) + 1 + rng.integers(0, 5, rank)
        arguments = {
            "kernel_size": tuple(kernel.tolist()),
            "padding": tuple(rng.integers(0, kernel // 2 + 1).tolist()),
            "ceil_mode": bool(rng.integers(2)),
        }
        if rng.integers(4):
            arguments["stride"] = tuple(rng.integers(1, 7, rank).tolist())
        if dilate:
            arguments["dilation"] = tuple(dilation.tolist())
        elif rng.integers(2):
            arguments["count_include_pad"] = False
        yield tuple(size.tolist()), arguments


def integers(rng, shape, largest=4):
    """Small whole numbers, so that there are ties and every sum is exact."""
    return rng.integers(-largest, largest + 1, shape).astype(np.float64)


def spoiled(rng, shape, dtype=np.float64):
    """Random numbers with ties, NaN and infinities among them."""
    x = np.round(rng.standard_normal(shape), 1).astype(dtype)
    for value, share in ((np.nan, 0.06), (-np.inf, 0.3), (np.inf, 0.03)):
        x[rng.random(shape) < share] = value
    return x


def by_torch(name, rank, x, arguments, g=None):
    x = torch.tensor(np.asarray(x), requires_grad=g is not None)
    y = getattr(torch.nn.functional, f"{name}{rank}d")(x, **arguments)
    if g is None:
        return y.numpy()
    y.backward(torch.tensor(g))
    return x.grad.numpy()


def ours(kind, rank):
    name = kind.removesuffix("_backward")
    return getattr(doors, f"{name}{rank}d" + kind.removeprefix(name))


# ------------------------------------------------------------------------------------- against PyTorch


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("method", methods("max_pool"))
def test_maxima_are_those_of_pytorch(method, rank):
    rng = np.random.default_rng(1)
    for size, arguments in geometries(rank, dilate=1):
        x = spoiled(rng, (2, 2, *size))
        same(ours("max_pool", rank)(x, **arguments, method=method), by_torch("max_pool", rank, x, arguments))


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_recorded_indices_are_those_of_pytorch(rank):
    """The first maximum in row-major order; the last of several NaN; the first cell of a window of minus infinities."""
    rng = np.random.default_rng(2)
    for size, arguments in geometries(rank, dilate=1):
        x = spoiled(rng, (2, 2, *size))
        pool = getattr(torch.nn.functional, f"max_pool{rank}d")
        _, expected = pool(torch.tensor(x), **arguments, return_indices=True)
        assert np.array_equal(max_pool_indices(x, pool_spec(rank, **arguments)), expected.numpy())


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("method", methods("max_pool_backward"))
def test_gradients_of_maxima_are_those_of_pytorch(method, rank):
    """S12: through the recorded arg-max, ties, NaN and windows of minus infinities included."""
    rng = np.random.default_rng(3)
    for size, arguments in geometries(rank, dilate=1):
        x = spoiled(rng, (2, 2, *size))
        g = integers(rng, (2, 2, *pool_spec(rank, **arguments).output_size(size)))
        grad = ours("max_pool_backward", rank)(g, x, **arguments, method=method)
        same(grad, by_torch("max_pool", rank, x, arguments, g))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("method", methods("avg_pool"))
def test_averages_are_those_of_pytorch(method, rank, dtype):
    rng = np.random.default_rng(4)
    for size, arguments in geometries(rank, dilate=0):
        x = integers(rng, (2, 2, *size)).astype(dtype)
        same(ours("avg_pool", rank)(x, **arguments, method=method), by_torch("avg_pool", rank, x, arguments))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("method", methods("avg_pool_backward"))
def test_gradients_of_averages_are_those_of_pytorch(method, rank, dtype):
    """S12: spread evenly; gradients are multiples of every count, so that shares are whole."""
    rng = np.random.default_rng(5)
    for size, arguments in geometries(rank, dilate=0):
        x = np.zeros((2, 2, *size), dtype)
        g = (TURN**rank * integers(rng, (2, 2, *pool_spec(rank, **arguments).output_size(size)))).astype(dtype)
        grad = ours("avg_pool_backward", rank)(g, x, **arguments, method=method)
        same(grad, by_torch("avg_pool", rank, x, arguments, g))


def narrow_in_torch(x):
    return torch.tensor(x.astype(np.float32)).to(torch.float16 if x.dtype == np.float16 else torch.bfloat16)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
@pytest.mark.parametrize("kind", WAYS)
def test_narrow_formats_are_summed_wide_and_rounded_once(kind, dtype):
    """A window of 16 whole numbers: the sum is exact in float32, so that the one rounding decides every bit."""
    rng = np.random.default_rng(6)
    x, g = integers(rng, (1, 2, 8, 8), 100).astype(dtype), integers(rng, (1, 2, 2, 2), 100).astype(dtype)
    at = narrow_in_torch(x).requires_grad_()
    at_output = getattr(torch.nn.functional, kind.removesuffix("_backward") + "2d")(at, 4)
    at_output.backward(narrow_in_torch(g))
    backward = kind.endswith("_backward")
    expected = (at.grad if backward else at_output.detach()).float().numpy().astype(dtype)
    for method in methods(kind):
        same(ours(kind, 2)(*([g, x] if backward else [x]), 4, method=method), expected)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_overlapping_narrow_gradients_are_rounded_once(dtype):
    """256 + 1 + 1: every partial sum in bfloat16 would drop the ones."""
    x, g = np.array([[[0, 0, 9, 0, 0]]], dtype), np.array([[[256, 1, 1]]], dtype)
    for method in methods("max_pool_backward"):
        same(doors.max_pool1d_backward(g, x, 3, 1, method=method), np.array([[[0, 0, 258, 0, 0]]], dtype))
    for method in methods("avg_pool_backward"):
        grad = doors.avg_pool1d_backward(g * dtype(2), x[..., :4], 2, 1, method=method)
        same(grad, np.array([[[256, 257, 2, 1]]], np.float32).astype(dtype))


# ---------------------------------------------------------------------------------- against the definition

ODD_GEOMETRIES = [
    ((5,), {"kernel_size": 3, "stride": 2, "padding": ((0, 1),), "ceil_mode": True}),
    ((7,), {"kernel_size": 4, "stride": 3, "padding": ((2, 1),), "ceil_mode": True}),
    ((7,), {"kernel_size": 5, "stride": 1, "padding": ((1, 0),)}),
    ((5, 4), {"kernel_size": (3, 2), "stride": (1, 3), "padding": ((1, 0), (0, 1))}),
    ((5, 4), {"kernel_size": (2, 4), "stride": (4, 2), "padding": ((0, 1), (2, 1)), "ceil_mode": True}),
    ((3, 4, 5), {"kernel_size": (2, 3, 2), "stride": 2, "padding": ((1, 0), (0, 1), (0, 0)), "ceil_mode": True}),
    ((2,), {"kernel_size": 4, "stride": 1, "padding": 2}),
]


def windows(size, spec):
    """Each output index with the input indices that it reads."""
    for at in product(*map(range, spec.output_size(size))):
        yield at, taps(spec, size, spec.kernel_size, at)


def cells_counted(at, size, spec):
    counts = []
    for o, n, s, k, (before, after) in zip(at, size, spec.stride, spec.kernel_size, spec.padding, strict=True):
        low, high = (-before, n + after) if spec.count_include_pad else (0, n)
        counts.append(sum(low <= i < high for i in range(o * s - before, o * s - before + k)))
    return prod(counts)


@pytest.mark.parametrize(("size", "arguments"), ODD_GEOMETRIES)
@pytest.mark.parametrize("include", [True, False])
def test_asymmetric_padding_follows_the_definition(size, arguments, include):
    """Erratum 1: windows that do not overlap need x[(k - 1) M + m], the stride-1 index is not enough."""
    rank, x = len(size), integers(np.random.default_rng(7), size)
    spec = pool_spec(rank, **arguments, count_include_pad=include)
    largest, average = np.empty(spec.output_size(size)), np.empty(spec.output_size(size))
    for at, read in windows(size, spec):
        largest[at] = max(x[i] for i in read)
        average[at] = sum(x[i] for i in read) / cells_counted(at, size, spec)
    for method in methods("max_pool"):
        same(ours("max_pool", rank)(x[None, None], **arguments, method=method), largest[None, None])
    for method in methods("avg_pool"):
        result = ours("avg_pool", rank)(x[None, None], **arguments, count_include_pad=include, method=method)
        same(result, average[None, None])


@pytest.mark.parametrize(("size", "arguments"), ODD_GEOMETRIES)
@pytest.mark.parametrize("include", [True, False])
def test_gradients_under_asymmetric_padding_follow_the_definition(size, arguments, include):
    rng, rank = np.random.default_rng(8), len(size)
    spec = pool_spec(rank, **arguments, count_include_pad=include)
    x, g = integers(rng, size), (5 * TURN) ** rank * integers(rng, spec.output_size(size))
    to_largest, spread = np.zeros(size), np.zeros(size)
    for at, read in windows(size, spec):
        to_largest[max(read, key=lambda i: x[i])] += g[at]
        for i in read:
            spread[i] += g[at] / cells_counted(at, size, spec)
    for method in methods("max_pool_backward"):
        result = ours("max_pool_backward", rank)(g[None], x[None], **arguments, method=method)
        same(result, to_largest[None])
    for method in methods("avg_pool_backward"):
        result = ours("avg_pool_backward", rank)(
            g[None], x[None], **arguments, count_include_pad=include, method=method
        )
        same(result, spread[None])


def test_a_window_of_padding_alone_is_minus_infinity_and_has_no_gradient():
    """Only dilation makes one: taps at -1 and 2 around an input of two elements."""
    x, arguments = np.array([[[5.0, 7.0]]]), {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 3}
    for method in methods("max_pool"):
        same(doors.max_pool1d(x, **arguments, method=method), np.array([[[-np.inf]]]))
        lowest = doors.max_pool1d(x.astype(np.int8), **arguments, method=method)
        same(lowest, np.array([[[-128]]], np.int8))
    assert max_pool_indices(x, pool_spec(1, **arguments)).tolist() == [[[-1]]]
    for method in methods("max_pool_backward"):
        same(doors.max_pool1d_backward([[[3.0]]], x, **arguments, method=method), np.zeros((1, 1, 2)))


# ------------------------------------------------------------------------------------------ agreement


@pytest.mark.parametrize("dtype", ["float32", "float16", ml_dtypes.bfloat16, "int64", "int8", "uint8"])
def test_all_ways_to_a_maximum_agree_in_every_format(dtype):
    rng = np.random.default_rng(9)
    whole = np.dtype(dtype).kind in "iu"
    for size, arguments in geometries(2, dilate=1, count=15):
        shape = (1, 3, *size)
        x = rng.integers(0, 250, shape).astype(dtype) if whole else spoiled(rng, shape, np.float32).astype(dtype)
        results = [doors.max_pool2d(x, **arguments, method=method) for method in methods("max_pool")]
        for result in results:
            same(result, results[0])
            assert result.dtype == dtype


@pytest.mark.parametrize("kernel_size", [13, 40])
def test_large_windows(kernel_size):
    x = np.random.default_rng(10).standard_normal((1, 2, 50, 64))
    expected = by_torch("max_pool", 2, x, {"kernel_size": kernel_size, "stride": 1, "padding": 6})
    for method in methods("max_pool"):
        same(doors.max_pool2d(x, kernel_size, 1, 6, method=method), expected)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_averages_of_any_numbers_meet_the_direct_bound(rank):
    """|error| <= gamma_n * average of |x| with gamma_n = n u / (1 - n u) [Higham 2002, sec. 3.1].

    A window of k cells costs k - 1 additions and a division; the gradient, where at most k windows overlap, the same.
    n = k + 1 leaves room for the float64 in which the expected value is computed.
    """
    rng = np.random.default_rng(14)
    for size, arguments in geometries(rank, dilate=0, count=10):
        n = (prod(arguments["kernel_size"]) + 1) * 2.0**-24
        x = rng.standard_normal((2, 3, *size)).astype(np.float32)
        g = rng.standard_normal(doors.__dict__[f"avg_pool{rank}d"](x, **arguments).shape).astype(np.float32)
        for kind, operands in (("avg_pool", [x]), ("avg_pool_backward", [g, x])):
            wide, sizes = [a.astype(np.float64) for a in operands], [np.abs(a).astype(np.float64) for a in operands]
            expected, allowed = ours(kind, rank)(*wide, **arguments), ours(kind, rank)(*sizes, **arguments)
            for method in methods(kind):
                error = np.abs(ours(kind, rank)(*operands, **arguments, method=method) - expected)
                assert np.all(error <= n / (1 - n) * allowed)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", WAYS)
def test_blocks_of_planes_are_like_the_whole(kind, rank, monkeypatch):
    """Seven planes in blocks of three, three and one: special values next to a seam stay where they are."""
    rng, name = np.random.default_rng(15), kind.removesuffix("_backward")
    for size, arguments in geometries(rank, dilate=int(name == "max_pool"), count=8):
        x = spoiled(rng, (1, 7, *size)) if name == "max_pool" else integers(rng, (1, 7, *size))
        g = TURN**rank * integers(rng, (1, 7, *pool_spec(rank, **arguments).output_size(size)))
        monkeypatch.setattr(algorithms, "_BLOCK", 3 * x[0, 0].nbytes)
        backward = kind.endswith("_backward")
        result = ours(kind, rank)(*([g, x] if backward else [x]), **arguments)
        same(result, by_torch(name, rank, x, arguments, g if backward else None))


def test_windows_of_more_than_256_taps():
    """A winner's number no longer fits into a byte."""
    x = np.random.default_rng(16).permutation(40 * 42).reshape(1, 1, 40, 42).astype(np.float32)
    g = integers(np.random.default_rng(17), (1, 1, 24, 26)).astype(np.float32)
    for method in methods("max_pool_backward"):
        grad = doors.max_pool2d_backward(g, x, 17, 1, method=method)
        same(grad, by_torch("max_pool", 2, x, {"kernel_size": 17, "stride": 1}, g))


@pytest.mark.parametrize("dtype", ["int64", "uint64", "int32", "int8"])
def test_overlapping_gradients_of_integers_are_exact(dtype):
    """Three windows share their maximum; the sum needs every bit of its format, but the sign."""
    largest = np.iinfo(dtype).max // 3
    x, g = np.array([[[0, 0, 9, 0, 0]]], dtype), np.array([[[largest, largest - 1, largest - 2]]], dtype)
    for method in methods("max_pool_backward"):
        grad = doors.max_pool1d_backward(g, x, 3, 1, method=method)
        same(grad, np.array([[[0, 0, 3 * largest - 3, 0, 0]]], dtype))
    if np.iinfo(dtype).min:
        assert doors.max_pool1d_backward(-g, x, 3, 1).tolist() == [[[0, 0, 3 - 3 * largest, 0, 0]]]


def test_integers_beyond_float64_stay_exact():
    x = np.array([[[2**62 + 1, 2**62, -(2**62) - 1]]])
    for method in methods("max_pool"):
        assert doors.max_pool1d(x, 3, method=method).tolist() == [[[2**62 + 1]]]
    for method in methods("max_pool_backward"):
        assert doors.max_pool1d_backward(x[..., :1], x, 3, method=method).tolist() == [[[2**62 + 1, 0, 0]]]


def test_nan_and_infinity_reach_only_their_own_windows():
    x = np.array([[[1.0, np.nan, 2.0, 3.0, np.inf, 4.0]]])
    for kind, expected in (("max_pool", [np.nan, 3.0, np.inf]), ("avg_pool", [np.nan, 2.5, np.inf])):
        for method in methods(kind):
            same(ours(kind, 1)(x, 2, method=method), np.array([[expected]]))
    g = np.array([[[np.nan, 1.0, np.inf]]])
    for method in methods("max_pool_backward"):
        same(doors.max_pool1d_backward(g, x, 2, method=method), np.array([[[0, np.nan, 0, 1, np.inf, 0]]]))
    for method in methods("avg_pool_backward"):
        expected = np.array([[[np.nan, np.nan, 0.5, 0.5, np.inf, np.inf]]])
        same(doors.avg_pool1d_backward(g, x, 2, method=method), expected)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("kind", WAYS)
def test_empty_batch_single_image_and_memory(kind, rank):
    """Any layout is read, nothing is written, the result owns its memory, even where the window is one cell."""
    rng, size = np.random.default_rng(11), (6, 5, 4)[:rank]
    for kernel, method in product((1, 2), methods(kind)):
        x = integers(rng, (3, 4, *size)).swapaxes(0, 1)[::-1, ..., ::-1]
        g = integers(rng, (4, 3, *pool_spec(rank, kernel).output_size(size)))[:, ::-1]
        for array in (x, g):
            array.flags.writeable = False
        operands, call = ([g, x] if kind.endswith("backward") else [x]), ours(kind, rank)
        result = call(*operands, kernel, method=method)
        same(call(*map(np.ascontiguousarray, operands), kernel, method=method), result)
        alone = call(*(a[1] for a in operands), kernel, method=method)
        same(alone, result[1])
        same(call(*(a[1].tolist() for a in operands), kernel, method=method), result[1])
        same(call(*(a[:0] for a in operands), kernel, method=method), result[:0])
        for array in (result, alone):
            assert array.flags.owndata and array.flags.c_contiguous and array.flags.writeable
            assert not any(np.shares_memory(array, a) for a in operands)


def test_swapped_byte_order_is_read():
    x = np.array([[[1.0, 2.0]]], ">f4")
    same(doors.max_pool1d(x, 2), np.array([[[2.0]]], np.float32))


# ------------------------------------------------------------------------------------- worked examples


@pytest.mark.parametrize("method", methods("max_pool"))
def test_worked_examples_of_max_pooling(method):
    """E24.7 and E24.9 (S7): 2x2 windows, stride 2, each channel by itself."""
    assert doors.max_pool2d([X4], 2, method=method).tolist() == [[[3, 2], [3, 3]]]
    result = doors.max_pool2d([X4, GREEN, BLUE], 2, method=method)
    assert result.tolist() == [[[3, 2], [3, 3]], [[3, 1], [2, 2]], [[4, 1], [3, 2]]]


@pytest.mark.parametrize("method", methods("avg_pool"))
def test_worked_example_of_average_pooling(method):
    """E24.8 (S7, S8): the same windows, averaged, also as a convolution with a constant kernel."""
    assert doors.avg_pool2d([X4], 2, method=method).tolist() == [[[1.75, 1], [1.75, 1.5]]]


def test_average_pooling_is_a_constant_kernel():
    """S8: the correlation with a kernel of 1/4, read at every second position."""
    x = np.array(X4)
    everywhere = correlate(x, np.full((2, 2), 0.25), "valid")
    same(doors.avg_pool2d(x[None], 2, 1)[0], everywhere)
    same(doors.avg_pool2d(x[None], 2)[0], everywhere[::2, ::2])


def test_worked_example_of_translation_invariance():
    """E24.10: the L detector, then max pooling, finds the same value when the L has moved by one."""
    letter = np.array([[0.0, 0, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0], [0, 2, 2, 2]])
    detector = np.array([[2.0, 0, 0], [2, 0, 0], [2, 2, 2]])
    features = correlate(letter, detector, "valid")
    moved = correlate(np.roll(letter, -1, axis=1), detector, "valid")
    assert features.tolist() == [[4, 8], [8, 20]]
    assert not np.array_equal(features, moved)
    assert doors.max_pool2d(features[None], 2).tolist() == doors.max_pool2d(moved[None], 2).tolist() == [[[20]]]


def test_global_average_pooling():
    """S7: one number for each channel, equal to average pooling with a window as large as the image."""
    x = integers(np.random.default_rng(12), (2, 3, 4, 5))
    same(doors.global_avg_pool(x), doors.avg_pool2d(x, (4, 5))[..., 0, 0])
    assert doors.global_avg_pool(x[:0]).shape == (0, 3)
    narrow = np.full((1, 1, 4096), 3.0, ml_dtypes.bfloat16)
    same(doors.global_avg_pool(narrow), narrow[..., 0])


def test_upsampling_is_the_adjoint_of_pooling():
    """S9: <pool x, g> = <x, upsample g> for sums, and a quarter of it is the gradient of 2x2 averages."""
    rng = np.random.default_rng(13)
    x, g = integers(rng, (2, 3, 4, 6)), integers(rng, (2, 3, 2, 2))
    raised = doors.upsample(g, (2, 3))
    assert np.sum(6 * doors.avg_pool2d(x * 6, (2, 3)) * g) == np.sum(6 * x * raised)
    same(doors.upsample(g, 2) / 4, doors.avg_pool2d_backward(g, np.zeros((2, 3, 4, 4)), 2))
    same(doors.upsample([[[1, 2]]], (3,)), np.array([[[1, 1, 1, 2, 2, 2]]]))
    one = doors.upsample(g, 1)
    assert not np.shares_memory(one, g)


# --------------------------------------------------------------------------------------- bad arguments

X1 = np.zeros((1, 1, 6))
BAD = [
    (
        lambda: doors.max_pool1d(X1, 7),
        ValueError,
        r"`kernel_size` is \(7,\).*size \(6,\).*output would have size \(0,\)",
    ),
    (lambda: doors.max_pool1d(X1[..., :0], 2, padding=1), ValueError, r"must fit into the input of size \(0,\)"),
    (
        lambda: doors.max_pool1d(X1, 2, method="fast"),
        ValueError,
        "must be one of auto, doubling, separable, sorting, win",
    ),
    (lambda: doors.avg_pool1d(X1, 2, method="fast"), ValueError, "`method` is 'fast', but must be one of auto, convol"),
    (lambda: doors.max_pool1d(X1, 2, padding=2), ValueError, "`padding` is 2, but must be at most half"),
    (lambda: doors.max_pool1d(X1, 2, stride=0), ValueError, "`stride` is 0"),
    (lambda: doors.max_pool1d(X1, 2.5), TypeError, "`kernel_size` is 2.5"),
    (lambda: doors.max_pool3d(X1, 2), ValueError, r"`input` has shape \(1, 1, 6\), but must have 5 axes"),
    (lambda: doors.max_pool1d(X1 > 0, 2), TypeError, "`input` has dtype bool, but must have bfloat16, float16"),
    (lambda: doors.max_pool1d(X1 * 1j, 2), TypeError, "`input` has dtype complex128"),
    (
        lambda: doors.avg_pool1d([[[1, 2]]], 2),
        TypeError,
        r"`input` has dtype int64.*convert with `\.astype\(np\.float64",
    ),
    (
        lambda: doors.avg_pool1d_backward(X1[..., :2], X1, 2),
        ValueError,
        r"`grad_output` has shape .*must be \(1, 1, 3\)",
    ),
    (
        lambda: doors.max_pool1d_backward(X1[0, :, :3], X1, 2),
        ValueError,
        r"`grad_output` has shape .*must be \(1, 1, 3\)",
    ),
    (lambda: doors.max_pool1d_backward(X1[..., :3] > 0, X1, 2), TypeError, "`grad_output` has dtype bool"),
    (
        lambda: doors.max_pool1d_backward(X1[..., :3].astype("f4"), X1, 2),
        TypeError,
        "`grad_output` has dtype float32, but must be float64, as `input`",
    ),
    (
        lambda: doors.max_pool1d_backward(np.full((1, 1, 2), 100, "i1"), np.zeros((1, 1, 3), "i1"), 2, 1),
        OverflowError,
        "`grad_output` holds 100 in int8.*wider",
    ),
    (lambda: doors.global_avg_pool([[1.0]]), ValueError, r"`input` has shape \(1, 1\)"),
    (lambda: doors.upsample([[1.0]], 2), ValueError, r"`input` has shape \(1, 1\)"),
    (lambda: doors.upsample(X1, (2, 2)), ValueError, r"`scale_factor` is \(2, 2\)"),
    (lambda: max_pool_indices(X1, pool_spec(2, 2)), ValueError, r"`x` has shape \(1, 1, 6\), but must have 4 axes"),
]


@pytest.mark.parametrize(("call", "error", "message"), BAD, ids=[message for *_, message in BAD])
def test_bad_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_call_that_equals_an_earlier_one_is_not_taken_for_it():
    """1 == 1.0 == True, but a kernel size is an integer, however often the call was right before."""
    assert doors.max_pool1d(X1, 1, 1).shape == doors.max_pool1d(X1, (1,), (1,)).shape
    for wrong, error in ((True, ValueError), ((True,), ValueError), (1.0, TypeError), ((1.0,), TypeError)):
        with pytest.raises(error, match="`kernel_size` is"):
            doors.max_pool1d(X1, wrong, 1)


def test_every_way_is_described():
    for ways in WAYS.values():
        assert all(way.claim == "direct" and way.summary for way in ways.values())
