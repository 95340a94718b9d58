"""The course notes: every worked example, every system and every slip in them, each cited by its label.

Numbers come in three ways, none of them with a tolerance: exact (integers, rationals, sums that `bound` proves exact),
the nearest integer where `bound` proves an error below one half, or within a bound stated by its formula.
`DOCUMENTS` at the end says which test answers for which label.
"""

import ast
import functools
import math
import re
from fractions import Fraction
from itertools import accumulate, pairwise, product
from pathlib import Path

import numpy as np
import pytest

import refconv
from refconv import bound
from refconv.algorithms import ALGORITHMS, direct, im2col, toeplitz
from refconv.algorithms.pooling import AVG_POOL, AVG_POOL_BACKWARD, MAX_POOL, MAX_POOL_BACKWARD, max_pool_indices
from refconv.algorithms.signal import CONVOLVE
from refconv.claims import Claims
from refconv.spec import OPERATIONS, Case, ConvSpec, conv_spec, pool_spec

PLAIN = ConvSpec((1, 1), ((0, 0), (0, 0)), (1, 1))
U = 2.0**-53  # unit roundoff of float64

# ------------------------------------------------------------------------------------- methods and exactness

REGISTRIES = {
    "conv": ALGORITHMS,
    "conv_transpose": ALGORITHMS,
    "conv_backward": ALGORITHMS,
    "convolve": CONVOLVE,
    "correlate": CONVOLVE,
    "max_pool": MAX_POOL,
    "max_pool_backward": MAX_POOL_BACKWARD,
    "avg_pool": AVG_POOL,
    "avg_pool_backward": AVG_POOL_BACKWARD,
}
ROUNDING = ("fft", "overlap_add", "winograd")  # methods that do not take integers


def ways(kind, *without):
    """Parametrise over every method of a kind of operation, in float64 and, where it takes them, in integers."""
    rows = [
        pytest.param((method, dtype), id=f"{method}-{dtype}")
        for method in REGISTRIES[kind]
        for dtype in ("float64", "int64")
        if method not in without and (dtype == "float64" or not (method in ROUNDING or kind.startswith("avg")))
    ]
    return pytest.mark.parametrize("way", rows)


def case_of(name, operands, arguments):
    arrays = [np.asarray(a, "float64") for a in operands]
    return Case(OPERATIONS[name], dict(zip(OPERATIONS[name].operands, arrays, strict=False)), arguments, "float64")


def claim(case, method):
    """The class of error that a method claims for a call."""
    row = REGISTRIES[case.operation.kind][method]
    if isinstance(row.claim, str):
        return row.claim
    small = case.shapes["output"] if case.operation.kind == "conv_transpose" else case.operands["input"].shape
    return row.claim(case.operation.name, case.conv, small[2:], case.operands["weight"].shape[2:])


def got(way, name, *operands, **arguments):
    """What a method gives for integers, or the integers that it means: the exact result, by the bound of its class.

    A direct sum must be allowed no error at all, and is left as it is; a transform must be allowed less than one
    half, and is rounded to the nearest integer.
    """
    method, dtype = way
    case = case_of(name, operands, arguments)
    room = bound.allowed(case, Claims(algorithm=claim(case, method)))
    given = getattr(refconv, name)(*(np.asarray(a, dtype) for a in operands), method=method, **arguments)
    results = given if isinstance(given, tuple) else (given,)
    assert {r.dtype for r in results} == {np.dtype(dtype)}
    if method in ROUNDING:
        assert max(r.max(initial=0) for r in room.values()) < 0.5
        results = tuple(map(np.rint, results))
    else:
        assert not any(r.any() for r in room.values())
    return results if isinstance(given, tuple) else results[0]


def same(array, expected):
    assert np.array_equal(array, np.asarray(expected))


def image(*channels):
    """One image of these channels; also one kernel."""
    return np.array([channels])


def draw(shape, seed=0, largest=5):
    return np.random.default_rng(seed).integers(-largest, largest + 1, shape)


def correlated(x, w):
    """The cross-correlation of the notes, y[k, l] = sum of w[m, n] x[k + m, l + n], from its definition."""
    x, w = np.asarray(x), np.asarray(w)
    places = np.ndindex(*(n - m + 1 for n, m in zip(x.shape, w.shape, strict=True)))
    sums = [sum(w[t] * x[tuple(np.add(at, t))] for t in np.ndindex(*w.shape)) for at in places]
    return np.array(sums).reshape([n - m + 1 for n, m in zip(x.shape, w.shape, strict=True)])


def spread(x, size, at):
    """x inside zeros."""
    result = np.zeros(size, np.asarray(x).dtype)
    result[tuple(slice(a, a + n) for a, n in zip(at, np.shape(x), strict=True))] = x
    return result


# ------------------------------------------------------------------------------------------ worked examples

X4 = [[3, 2, 0, 1], [0, 2, 1, 2], [2, 0, 0, 3], [2, 3, 1, 2]]
W3 = [[2, 1, 2], [0, 0, 3], [0, 0, 2]]
X7 = [
    [3, 2, 0, 1, 0, 2, 1],
    [0, 2, 1, 2, 1, 2, 1],
    [2, 0, 0, 3, 0, 0, 2],
    [2, 3, 1, 0, 1, 1, 3],
    [2, 2, 1, 1, 0, 3, 1],
    [1, 1, 0, 0, 1, 2, 2],
    [2, 1, 0, 3, 2, 1, 1],
]
GREEN = [[3, 2, 0, 1], [2, 1, 0, 1], [1, 0, 2, 1], [2, 1, 0, 0]]
BLUE = [[4, 2, 0, 1], [0, 3, 1, 0], [3, 1, 0, 2], [2, 2, 0, 1]]
W_GREEN, W_BLUE = [[1, 0, 1], [0, 1, 0], [1, 0, 1]], [[1, 0, -1]] * 3
L_IMAGE = [[0, 0, 0, 0], [0, 2, 0, 0], [0, 2, 0, 0], [0, 2, 2, 2]]
L_KERNEL = [[2, 0, 0], [2, 0, 0], [2, 2, 2]]
NINE, FOUR = np.arange(9).reshape(3, 3), np.arange(4).reshape(2, 2)
STRIPES = np.repeat([[1, 1, 0, 0, 0, 0, 1, 1]], 6, axis=0)
EDGES = np.repeat([[0, 1, 0, 0, 0, -1, 0]], 6, axis=0)


def gaussian(t, variance):
    return np.exp(-(t**2) / (2 * variance)) / math.sqrt(2 * math.pi * variance)


@pytest.mark.parametrize("method", CONVOLVE)
def test_e24_1_gaussian_smoothing_has_the_continuous_convolution_as_its_limit(method):
    """E24.1 (S1): h times the convolution of samples at step h tends to the integral, faster than any power of h.

    The product of two Gaussians of variances a and b, f(tau) g(t - tau), is one of variance v = a b / (a + b), times
    the convolution G(t), a Gaussian of variance a + b. By Poisson's summation formula the sum over all samples is
    G(t) (1 + 2 sum over m of exp(-2 pi^2 m^2 v / h^2) cos(2 pi m mu / h)), so the relative error is at most
    e(h) = 2 sum over m of exp(-2 pi^2 m^2 v / h^2), and exactly that at t = 0: halving h gives e(h/2) < e(h)^4.
    Cut tails lose less than twice the first value left out. Rounding: each sample within 16 u (exp within 4 ulp, three
    operations), n products: (n + 64) u in all for a direct sum; for a transform the bound of its class.
    """
    a, b = 1.0, 1.0
    v = a * b / (a + b)
    worst = []
    for h in (2.0, 1.0, 0.5):
        reach = round(16 / h)
        t = h * np.arange(-reach, reach + 1)
        f, g = gaussian(t, a), gaussian(t, b)
        smooth = h * refconv.convolve(f, g, "same", method=method)
        case = case_of("convolve", (f, g), {"mode": "same"})
        n = len(t) + 64
        rounding = h * bound.allowed(case, Claims(algorithm=claim(case, method)))["output"]
        rounding = rounding + n * U / (1 - n * U) * smooth
        aliasing = 2 * sum(math.exp(-2 * (math.pi * m) ** 2 * v / h**2) for m in range(1, 9))
        inner, limit = abs(t) <= 4, gaussian(t, a + b)
        room = rounding + aliasing * limit + 2 * gaussian(16.0, a)
        assert np.all(abs(smooth - limit)[inner] <= room[inner])
        centre = abs(smooth[reach] - limit[reach] * (1 + aliasing))
        assert centre <= rounding[reach] + 2 * gaussian(16.0, a)
        worst.append(aliasing)
    assert all(finer < coarser**4 for coarser, finer in pairwise(worst))


@ways("conv")
def test_e24_2_basic_convolution(way):
    """E24.2: valid, stride 1."""
    same(got(way, "conv2d", image(X4), image(W3)), image([[11, 18], [6, 22]]))


@ways("conv")
def test_e24_3_padding(way):
    """E24.3: one row and column of zeros on every side; the same as writing the zeros."""
    expected = image([[10, 2, 7, 0], [13, 11, 18, 1], [10, 6, 22, 4], [11, 7, 12, 3]])
    same(got(way, "conv2d", image(X4), image(W3), padding=1), expected)
    same(got(way, "conv2d", image(np.pad(X4, 1)), image(W3)), expected)


@ways("conv", "winograd")
def test_e24_4_stride(way):
    """E24.4: 7x7, stride 2."""
    expected = image([[11, 4, 11], [9, 6, 15], [8, 10, 13]])
    same(got(way, "conv2d", image(X7), image(W3), stride=2), expected)


@ways("conv")
def test_e24_5_feature_detection(way):
    """E24.5: the response to an L is largest where the L is."""
    y = got(way, "conv2d", image(L_IMAGE), image(L_KERNEL))
    same(y, image([[4, 8], [8, 20]]))
    assert np.unravel_index(y.argmax(), (2, 2)) == (1, 1)


@ways("conv")
def test_e24_6_three_channels_are_summed(way):
    """E24.6: the notes leave the result out; it is the sum of three convolutions."""
    parts = [([[11, 18], [6, 22]], X4, W3), ([[7, 4], [4, 5]], GREEN, W_GREEN), ([[6, 3], [4, 3]], BLUE, W_BLUE)]
    for expected, x, w in parts:
        same(got(way, "conv2d", image(x), image(w)), image(expected))
    y = got(way, "conv2d", image(X4, GREEN, BLUE), image(W3, W_GREEN, W_BLUE))
    same(y, image([[24, 25], [14, 30]]))
    same(y[0, 0], sum(np.array(expected) for expected, *_ in parts))


@ways("max_pool")
def test_e24_7_max_pooling(way):
    """E24.7: 2x2 windows, stride 2."""
    same(got(way, "max_pool2d", image(X4), kernel_size=2), image([[3, 2], [3, 3]]))


@ways("avg_pool")
def test_e24_8_average_pooling(way):
    """E24.8: the same windows."""
    same(got(way, "avg_pool2d", image(X4), kernel_size=2), image([[1.75, 1], [1.75, 1.5]]))


@ways("max_pool")
def test_e24_9_pooling_keeps_channels_apart(way):
    """E24.9: the three channels of E24.6."""
    expected = image([[3, 2], [3, 3]], [[3, 1], [2, 2]], [[4, 1], [3, 2]])
    same(got(way, "max_pool2d", image(X4, GREEN, BLUE), kernel_size=2), expected)


@ways("conv")
def test_e24_10_the_pooled_response_ignores_a_shift(way):
    """E24.10 (S14): the L moved by one changes the features but not their maximum."""
    moved = np.roll(L_IMAGE, -1, axis=1)
    here, there = (got(way, "conv2d", image(x), image(L_KERNEL)) for x in (L_IMAGE, moved))
    assert not np.array_equal(here, there)
    for method in MAX_POOL:
        for features in (here, there):
            same(refconv.max_pool2d(features, 2, method=method), image([[20]]))


@ways("conv")
def test_c5_1_a_two_by_two_kernel(way):
    """C5.1: also as the loop that the notes print."""
    same(got(way, "conv2d", image(NINE), image(FOUR)), image([[19, 25], [37, 43]]))
    same(correlated(NINE, FOUR), [[19, 25], [37, 43]])


@ways("conv")
def test_c6_3_1_padded(way):
    """C6.3.1: C5.1 with padding 1."""
    expected = image([[0, 3, 8, 4], [9, 19, 25, 10], [21, 37, 43, 16], [6, 7, 8, 0]])
    same(got(way, "conv2d", image(NINE), image(FOUR), padding=1), expected)


@ways("conv", "winograd")
def test_c6_3_2_padded_and_strided(way):
    """C6.3.2: C6.3.1 with stride 3 down and 2 across."""
    same(got(way, "conv2d", image(NINE), image(FOUR), padding=1, stride=(3, 2)), image([[0, 8], [6, 8]]))


@ways("conv")
def test_c6_4_1_two_input_channels(way):
    """C6.4.1: one kernel for each input channel, summed."""
    same(got(way, "conv2d", image(NINE, NINE + 1), image(FOUR, FOUR + 1)), image([[56, 72], [104, 120]]))


@ways("conv")
def test_edge_detection(way):
    """EDGE: [1, -1] finds the steps from white to black and back; transposed, the image shows it nothing."""
    same(got(way, "conv2d", image(STRIPES), image([[1, -1]])), image(EDGES))
    assert not got(way, "conv2d", image(STRIPES.T), image([[1, -1]])).any()


# ----------------------------------------------------------------------------------------- learning a kernel

# The squared error is a quadratic of the kernel with its least value at [1, -1]: one step of gradient descent at rate
# r multiplies the distance to it by 1 - 2 r GRAM, whose eigenvalues are 1 - 60 r and 1 - 12 r.
GRAM = [[18, 12], [12, 18]]


def test_learn_the_edge_kernel_from_data():
    """LEARN (S17): the notes' ten steps at rate 3e-2 from PyTorch's random start bring the kernel to [1, -1] rounded.

    The distance after a step is at most q = max |1 - 2 r lambda| = 0.8 times that before, plus what the step rounds:
    the residual by twice the bound of conv2d and 2 u of itself, 18 of which each weight's gradient sums, the gradient
    by the bound of conv2d_backward, the update by 2 u of its parts. 1.5 covers both components and second orders.
    """
    x, y, rate = image(STRIPES).astype(float), image(EDGES).astype(float), 3e-2
    q = max(abs(1 - 60 * rate), abs(1 - 12 * rate)) + 4 * U
    for method in REGISTRIES["conv_backward"]:
        for start in range(3):
            kernel = np.random.default_rng(start).uniform(-(0.5**0.5), 0.5**0.5, (1, 1, 1, 2))
            room = math.hypot(*(kernel.ravel() - [1, -1])) * (1 + 4 * U)
            for _ in range(10):
                residual = 2 * (refconv.conv2d(x, kernel, method=method) - y)
                _, grad, _ = refconv.conv2d_backward(residual, x, kernel, method=method)
                forward, backward = (
                    bound.allowed(case, Claims(algorithm=claim(case, method)))
                    for case in (
                        case_of("conv2d", (x, kernel), {}),
                        case_of("conv2d_backward", (residual, x, kernel), {}),
                    )
                )
                wrong = 2 * forward["output"].max() + 2 * U * abs(residual).max()
                wrong = rate * (18 * wrong + backward["grad_weight"].max())
                step = rate * grad
                kernel = kernel - step
                room = q * room + 1.5 * (wrong + 2 * U * (abs(step).max() + abs(kernel).max()))
            assert room < 0.5
            assert math.hypot(*(kernel.ravel() - [1, -1])) <= room
            same(np.rint(kernel), image([[1, -1]]))


@pytest.mark.parametrize("layer", ["cross-correlation", "true convolution"])
def test_s17_a_layer_with_true_convolution_learns_the_flipped_kernel(layer):
    """S17: descent at rate 1/32 is exact in float64 (3 bits a step), so each step is that of rational arithmetic.

    The layer that flips its kernel ends with the flipped kernel, bit for bit, and the same outputs.
    """
    x, y = STRIPES.astype(float), EDGES.astype(float)
    distance = [Fraction(1), Fraction(2)]
    for _ in range(12):
        distance = [
            d - sum(Fraction(g, 16) * e for g, e in zip(row, distance, strict=True))
            for d, row in zip(distance, GRAM, strict=True)
        ]
    learned = [[1 + float(distance[0]), -1 + float(distance[1])]]
    same(np.rint(learned), [[1, -1]])
    flips = layer == "true convolution"
    for method in CONVOLVE if flips else REGISTRIES["conv_backward"]:
        if method in ROUNDING:
            continue
        kernel = np.array([[2.0, 1.0]])
        if flips:
            kernel = np.flip(kernel)
        for _ in range(12):
            if flips:
                residual = 2 * (refconv.convolve(x, kernel, "valid", method=method) - y)
                grad = np.flip(refconv.correlate(x, residual, "valid", method=method))
            else:
                residual = 2 * (refconv.conv2d(image(x), image(kernel), method=method) - y)
                grad = refconv.conv2d_backward(residual, image(x), image(kernel), method=method)[1][0, 0]
            kernel = kernel - grad / 32
        same(kernel, np.flip(learned) if flips else learned)


# ------------------------------------------------------------------------------------------ sizes and counts


def test_params_of_dense_local_and_shared_layers():
    """PARAMS (S15): weights of a layer from a 1000x1000 image to 10^6 units, and the matrices of a small one.

    Dense: every entry of the matrix its own; locally connected: those of a 10x10 window; shared: the window's.
    """

    def counts(inputs, hidden, window):
        return inputs * hidden, hidden * window, window

    assert counts(1000 * 1000, 10**6, 10 * 10) == (10**12, 10**8, 100)
    T = toeplitz.matrix(np.arange(1, 10).reshape(1, 1, 3, 3), PLAIN, (8, 8))
    assert (math.prod(T.shape), T.nnz, len(set(T.data))) == counts(8 * 8, 6 * 6, 3 * 3)


def test_fc_weights_of_the_first_dense_layer():
    """FC: channels and size of the last feature map, flattened, times the units; the sizes from the layers before."""

    def size(n, *layers):
        for k, s, p in layers:
            (n,) = conv_spec(1, (k,), s, p).output_size((n,), (k,))
        return n

    pool, same3 = (2, 2, 0), (3, 1, 1)
    lenet = size(28, (5, 1, 2), pool, (5, 1, 0), pool)
    alexnet = size(224, (11, 4, 1), (3, 2, 0), (5, 1, 2), (3, 2, 0), same3, same3, same3, (3, 2, 0))
    vgg = size(224, *[same3, pool] * 5)
    assert (lenet, alexnet, vgg) == (5, 5, 7)
    assert 16 * lenet**2 * 120 == 48_000
    assert 256 * alexnet**2 * 4096 == 26_214_400
    assert 512 * vgg**2 * 4096 == 102_760_448


# -------------------------------------------------------------------- letters: the symbolic example of the notes

# A letter is a power of two, such that each product of two letters is a bit of its own: a sum of products in which
# none occurs twice is read back letter by letter.
INPUT, KERNEL, GRADIENT = "abcdefghj", "wxyz", "pqrs"


def letters(names, step=1):
    return 2 ** (step * np.arange(len(names)))


def terms(number, first, second):
    """The products in a sum of products of `first`, in steps of one, and `second`, in steps of len(first).

    >>> sorted(terms(2**0 + 2**3, "ab", "wx"))
    ['aw', 'bx']
    """
    pairs = [a + b for b in second for a in first]
    assert number == int(number) and number < 2 ** len(pairs)
    return {pair for bit, pair in enumerate(pairs) if int(number) >> bit & 1}


def spelled(array, first, second):
    return [terms(number, first, second) for number in np.ravel(array)]


def written(*sums):
    """Sums as the notes write them, with the order of the factors left free: first operand first."""
    return [set(total.replace("+", " ").split()) for total in sums]


SEED_Y = written("aw + bx + dy + ez", "bw + cx + ey + fz", "dw + ex + gy + hz", "ew + fx + hy + jz")
SEED_DX = written(
    *("pw", "qw + px", "qx"),
    *("rw + py", "sw + rx + qy + pz", "sx + qz"),
    *("ry", "sy + rz", "sz"),
)
SEED_DW = written("ap + bq + dr + es", "bp + cq + er + fs", "dp + eq + gr + hs", "ep + fq + hr + js")


@ways("conv")
def test_seed_bp_forward_and_backward_entry_by_entry(way):
    """SEED-BP: Y, all nine entries of dX and (S10) the four of dW, by every method, as sums of products of letters."""
    x, w = letters(INPUT).reshape(1, 1, 3, 3), letters(KERNEL, 9).reshape(1, 1, 2, 2)
    assert spelled(got(way, "conv2d", x, w), INPUT, KERNEL) == SEED_Y
    g, w = letters(GRADIENT).reshape(1, 1, 2, 2), letters(KERNEL, 4).reshape(1, 1, 2, 2)
    assert spelled(got(way, "conv_transpose2d", g, w), GRADIENT, KERNEL) == SEED_DX
    # dX = dY, padded by 1, with Rot(W) = [[z, y], [x, w]]
    assert spelled(got(way, "conv2d", g, np.flip(w), padding=1), GRADIENT, KERNEL) == SEED_DX
    grad_input, _, _ = got(way, "conv2d_backward", g, x, w)
    assert spelled(grad_input, GRADIENT, KERNEL) == SEED_DX
    _, grad_weight, _ = got(way, "conv2d_backward", letters(GRADIENT, 9).reshape(g.shape), x, w)
    assert spelled(grad_weight, INPUT, GRADIENT) == SEED_DW
    assert spelled(direct.input_grad_rot180(g, w, PLAIN, (3, 3)), GRADIENT, KERNEL) == SEED_DX


def test_seed_bp_both_matrix_forms():
    """SEED-BP (S11): the matrix X of im2col letter by letter, Y = W X, the 4x4 matrix W^T dY, and its col2im."""
    alphabet = np.array(list(INPUT)).reshape(1, 1, 3, 3)
    X = im2col.patches(alphabet, (2, 2), PLAIN)[0]
    assert ["".join(row) for row in X] == ["abde", "bcef", "degh", "efhj"]
    X = im2col.patches(letters(INPUT).reshape(1, 1, 3, 3), (2, 2), PLAIN)[0]
    assert spelled(letters(KERNEL, 9) @ X, INPUT, KERNEL) == SEED_Y
    dX = letters(KERNEL, 4)[:, None] @ letters(GRADIENT)[None, :]
    assert spelled(dX, GRADIENT, KERNEL) == written(
        *("pw", "qw", "rw", "sw"), *("px", "qx", "rx", "sx"), *("py", "qy", "ry", "sy"), *("pz", "qz", "rz", "sz")
    )
    assert spelled(im2col.fold(dX[None], (2, 2), PLAIN, (3, 3)), GRADIENT, KERNEL) == SEED_DX


# --------------------------------------------------------------------------------------- convolution: S1 to S6


@ways("convolve")
@pytest.mark.parametrize(("n", "m"), [((7,), (4,)), ((4, 5), (3, 2))], ids=["1-D", "2-D"])
def test_s1_mathematical_convolution_commutes(way, n, m):
    """S1: h[k] = sum over t of f[t] g[k - t] on one and on two axes, the same with f and g swapped.

    The continuous convolution as its limit is E24.1.
    """
    f, g = draw(n, 1), draw(m, 2)
    h = np.zeros([i + j - 1 for i, j in zip(n, m, strict=True)], int)
    for t, s in product(np.ndindex(*n), np.ndindex(*m)):
        h[tuple(np.add(t, s))] += f[t] * g[s]
    same(got(way, "convolve", f, g), h)
    same(got(way, "convolve", g, f), h)


@ways("correlate")
def test_s2_cross_correlation_is_mirrored_when_swapped(way):
    """S2: corr(f, g)(t) = sum of f[s] g[t + s] = corr(g, f)(-t), so it does not commute.

    The notes write the sliding operand first: their W * X is correlate(X, W).
    """
    f, g = draw((3, 2), 1), draw((4, 5), 2)

    def definition(f, g):
        sums = np.zeros([n + m - 1 for n, m in zip(f.shape, g.shape, strict=True)], int)
        for s, r in product(np.ndindex(*f.shape), np.ndindex(*g.shape)):  # at t = r - s, which starts at 1 - len(f)
            sums[tuple(np.subtract(r, s) + f.shape - np.ones(2, int))] += f[s] * g[r]
        return sums

    slid = got(way, "correlate", g, f)
    same(slid, definition(f, g))
    same(np.flip(slid), definition(g, f))
    same(np.flip(slid), got(way, "correlate", f, g))
    assert not np.array_equal(slid, np.flip(slid))


@ways("conv")
def test_s3_convolution_is_correlation_with_the_kernel_flipped_on_every_axis(way):
    """S3: convolve(x, w) = correlate(x, flip w) = a layer with the flipped kernel and full padding; one axis alone
    is not enough."""
    x, w = draw((4, 5), 1), draw((3, 2), 2)
    true = refconv.convolve(x, w)
    same(refconv.correlate(x, np.flip(w)), true)
    padding = ((2, 2), (1, 1))
    same(got(way, "conv2d", image(x), image(np.flip(w)), padding=padding), image(true))
    for axis in (0, 1):
        assert not np.array_equal(got(way, "conv2d", image(x), image(np.flip(w, axis)), padding=padding)[0, 0], true)


@ways("conv")
def test_s4_padding_per_side_same_and_full(way):
    """S4: padding is a border of zeros; 'same' keeps the size, M - 1 is full padding.

    An even kernel's odd row: ceil(p/2) before in the notes ("same_lower"), after in PyTorch ("same").
    """
    x = draw((5, 6), 1)
    for k, odd in (((3, 5), False), ((4, 2), True)):
        w, (p, q) = draw(k, 2), (k[0] - 1, k[1] - 1)
        borders = {
            "same_lower": ((math.ceil(p / 2), p // 2), (math.ceil(q / 2), q // 2)),
            "same": ((p // 2, math.ceil(p / 2)), (q // 2, math.ceil(q / 2))),
            (p, q): ((p, p), (q, q)),
        }
        assert (borders["same"] != borders["same_lower"]) == odd
        for padding, border in borders.items():
            expected = correlated(np.pad(x, border), w)
            if isinstance(padding, str):
                assert expected.shape == x.shape
            same(got(way, "conv2d", image(x), image(w), padding=padding), image(expected))
            same(got(way, "conv2d", image(x), image(w), padding=border), image(expected))
    same(got(way, "conv2d", image(x), image(w), padding=(p, q)), image(refconv.convolve(x, np.flip(w))))


@ways("conv", "winograd")
def test_s4_stride_of_each_axis_and_the_output_size(way):
    """S4: every s-th output is kept; floor((I + 2P - M)/S) + 1 = floor((n - k + p + s)/s) with p = 2P is the size."""
    x, w = draw((6, 7), 3), draw((3, 2), 4)
    for stride, padding in product([(1, 1), (2, 3), (3, 1), (5, 4)], [(0, 0), (1, 0), (2, 1)]):
        y = got(way, "conv2d", image(x), image(w), stride=stride, padding=padding)
        everywhere = correlated(np.pad(x, [(p, p) for p in padding]), w)
        same(y, image(everywhere[:: stride[0], :: stride[1]]))
        axes = list(zip(x.shape, w.shape, stride, padding, strict=True))
        assert y.shape[2:] == tuple(math.floor((i + 2 * p - m) / s) + 1 for i, m, s, p in axes)
        assert y.shape[2:] == tuple(math.floor((n - k + 2 * p + s) / s) for n, k, s, p in axes)


@ways("conv")
def test_s5_channels_pointwise_convolution_and_bias(way):
    """S5: output channel o is the sum over input channels of X_c * W_(o,c), plus its bias; 1x1 mixes channels only."""
    x, w, b = draw((2, 3, 5, 4), 1), draw((4, 3, 2, 2), 2), draw(4, 3)
    expected = [[sum(map(correlated, x[n], w[o])) + b[o] for o in range(4)] for n in range(2)]
    same(got(way, "conv2d", x, w, b), expected)
    mix = draw((4, 3, 1, 1), 4)
    same(got(way, "conv2d", x, mix), np.einsum("oc,nchw->nohw", mix[:, :, 0, 0], x))


@ways("conv", "winograd")
def test_s6_dilation_is_a_kernel_with_gaps(way):
    """S6: dilation d puts d - 1 zeros between the elements of the kernel."""
    x, w = draw((8, 9), 1), draw((3, 2), 2)
    gaps = np.zeros((5, 4), int)
    gaps[::2, ::3] = w
    same(got(way, "conv2d", image(x), image(w), dilation=(2, 3)), image(correlated(x, gaps)))


@ways("conv")
def test_s6_dilation_groups_and_padding_modes(way):
    """S6: groups are layers side by side; the other padding modes fill the border as numpy.pad does.

    Dilation has a test of its own, which Winograd's method cannot join.
    """
    x, w = draw((1, 4, 4, 5), 3), draw((6, 2, 2, 3), 4)
    halves = [got(way, "conv2d", x[:, 2 * g : 2 * g + 2], w[3 * g : 3 * g + 3]) for g in (0, 1)]
    same(got(way, "conv2d", x, w, groups=2), np.concatenate(halves, axis=1))
    each = got(way, "conv2d", x, w[:4, :1], groups=4)
    same(each, image(*(correlated(x[0, c], w[c, 0]) for c in range(4))))
    method, dtype = way
    for mode, border in {"zeros": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}.items():
        filled = np.pad(x, [(0, 0), (0, 0), (1, 1), (2, 2)], mode=border)
        y = refconv.conv2d(x.astype(dtype), w.astype(dtype), padding=(1, 2), groups=2, padding_mode=mode, method=method)
        same(np.rint(y) if method in ROUNDING else y, got(way, "conv2d", filled, w, groups=2))


# ------------------------------------------------------------------------------------------- pooling: S7 to S9


def pooled(x, choose, size, stride, padding, fill):
    """Pooling of one plane from its definition, the border filled with `fill`."""
    filled = np.pad(np.asarray(x, float), padding, constant_values=fill)
    starts = product(*(range(0, n - size + 1, stride) for n in filled.shape))
    values = [choose(filled[i : i + size, j : j + size]) for i, j in starts]
    return np.reshape(values, [(n - size) // stride + 1 for n in filled.shape])


@ways("max_pool")
def test_s7_max_pooling(way):
    """S7: the window's largest element of each channel, by kernel, stride and padding; padding never wins."""
    x = draw((2, 3, 6, 7), 1) - 9  # all below zero
    for size, stride, padding in ((2, 2, 0), (3, 1, 1), (3, 2, 1), (2, 3, 1), (4, 1, 2)):
        expected = [[pooled(plane, np.max, size, stride, padding, -np.inf) for plane in planes] for planes in x]
        same(got(way, "max_pool2d", x, kernel_size=size, stride=stride, padding=padding), expected)


@ways("avg_pool")
def test_s7_average_and_global_average_pooling(way):
    """S7: the window's mean, zeros of the padding counted; a window as large as the image is the global average."""
    x = draw((2, 3, 8, 8), 2)
    for size, stride, padding in ((2, 2, 0), (4, 1, 1), (2, 3, 1), (4, 2, 2)):
        expected = [[pooled(plane, np.mean, size, stride, padding, 0) for plane in planes] for planes in x]
        same(got(way, "avg_pool2d", x, kernel_size=size, stride=stride, padding=padding), expected)
    same(got(way, "avg_pool2d", x, kernel_size=8)[:, :, 0, 0], refconv.global_avg_pool(x.astype(float)))
    same(refconv.global_avg_pool(x.astype(float)), x.sum(axis=(2, 3)) / 64)


@ways("max_pool")
def test_s7_ceil_mode_size(way):
    """S7: the notes' ceil((i - k)/s) + 1 windows, the last cut short; padded, one wholly in the padding is dropped."""
    x = np.arange(1, 8).reshape(1, 1, 7)
    for n, k, s in product(range(3, 8), (2, 3), (1, 2, 3)):
        if s <= k:  # else the last window might lie outside
            y = got(way, "max_pool1d", x[:, :, :n], kernel_size=k, stride=s, ceil_mode=True)
            assert y.shape[2] == math.ceil((n - k) / s) + 1
            assert y[0, 0, -1] == n
    same(got(way, "max_pool1d", x[:, :, :3], kernel_size=2, padding=1, ceil_mode=True), [[[1, 3]]])
    assert math.ceil((3 + 2 - 2) / 2) + 1 == 3


@ways("conv")
def test_s8_average_pooling_is_a_convolution_with_a_constant_kernel(way):
    """S8: every method of convolution, one constant kernel for each channel, read at every second place."""
    x = draw((1, 3, 6, 8), 1)
    sums = got(way, "conv2d", x, np.ones((3, 1, 2, 2)), groups=3)
    for method in AVG_POOL:
        same(sums / 4, refconv.avg_pool2d(x.astype(float), 2, 1, method=method))
        same(sums[:, :, ::2, ::2] / 4, refconv.avg_pool2d(x.astype(float), 2, method=method))


def test_s9_upsampling_is_the_adjoint_of_pooling():
    """S9: <pool x, g> = <x, upsample g>; masked or divided it is the notes' up_sample of a pooling's error."""
    x, g = draw((2, 3, 4, 6), 1).astype(float), draw((2, 3, 2, 3), 2).astype(float)
    raised = refconv.upsample(g, 2)
    same(raised, np.kron(g, np.ones((2, 2))))
    assert (4 * refconv.avg_pool2d(x, 2) * g).sum() == (x * raised).sum()
    for method in AVG_POOL_BACKWARD:
        same(refconv.avg_pool2d_backward(g, x, 2, method=method), raised / 4)
    distinct = np.random.default_rng(3).permutation(x.size).reshape(x.shape).astype(float)
    largest = distinct == refconv.upsample(refconv.max_pool2d(distinct, 2), 2)
    for method in MAX_POOL_BACKWARD:
        same(refconv.max_pool2d_backward(g, distinct, 2, method=method), raised * largest)


# --------------------------------------------------------------------------------------- gradients: S10 to S12


@ways("conv")
def test_s10_gradients_of_kernel_input_and_bias(way):
    """S10: dW = dZ * X, dX = rot180(W) * dZ fully padded = rot180(dZ) * W, db = the sum of dZ."""
    x, w, g = draw((5, 6), 1), draw((3, 2), 2), draw((3, 5), 3)
    kernel, rotated = correlated(x, g), correlated(np.pad(g, ((2, 2), (1, 1))), np.rot90(w, 2))
    same(correlated(np.pad(w, ((2, 2), (4, 4))), np.rot90(g, 2)), rotated)
    same(refconv.convolve(g, w), rotated)
    same(got(way, "conv2d", image(x), image(g)), image(kernel))
    same(got(way, "conv2d", image(g), image(np.rot90(w, 2)), padding=(2, 1)), image(rotated))
    same(got(way, "conv2d", image(w), image(np.rot90(g, 2)), padding=(2, 4)), image(rotated))
    same(got(way, "conv_transpose2d", image(g), image(w)), image(rotated))
    grads = got(way, "conv2d_backward", image(g), image(x), image(w))
    for grad, expected in zip(grads, (image(rotated), image(kernel), [g.sum()]), strict=True):
        same(grad, expected)


@ways("conv_backward", "winograd")
def test_s10_gradients_of_many_channels_by_bilinearity(way):
    """S10: <dZ, dZ/dw> for every single weight, input and bias, with channels, stride, padding and dilation."""
    arguments = {"stride": (2, 1), "padding": (1, 0), "dilation": (1, 2)}
    x, w = draw((2, 2, 4, 5), 1), draw((3, 2, 2, 2), 2)
    g = draw(refconv.conv2d(x, w, **arguments).shape, 3)
    grad_input, grad_weight, grad_bias = got(way, "conv2d_backward", g, x, w, **arguments)
    same(grad_bias, g.sum(axis=(0, 2, 3)))
    for operand, grad in ((x, grad_input), (w, grad_weight)):
        for at in np.ndindex(operand.shape):
            unit = np.zeros_like(operand)
            unit[at] = 1
            moved = refconv.conv2d(*((unit, w) if operand is x else (x, unit)), **arguments)
            assert grad[at] == (g * moved).sum()


def test_s11_im2col_and_col2im_in_matrix_form():
    """S11: Y = W X, dW = dY X^T, dX = col2im(W^T dY), with channels, stride, padding and dilation.

    The matrices of the notes, letter by letter: SEED-BP.
    """
    spec, size = ConvSpec((2, 1), ((1, 1), (0, 0)), (1, 2)), (3, 2)
    arguments = {"stride": spec.stride, "padding": (1, 0), "dilation": spec.dilation}
    x, w = draw((2, 3, 6, 5), 1), draw((4, 3, *size), 2)
    X, W = im2col.patches(x, size, spec), w.reshape(4, -1)
    g = draw((2, 4, *spec.output_size((6, 5), size)), 3)
    dY = g.reshape(2, 4, -1)
    for method in REGISTRIES["conv_backward"]:
        for dtype in ("float64", "int64"):
            if method == "winograd" or (method in ROUNDING and dtype == "int64"):
                continue  # strided; integers
            way = method, dtype
            same((W @ X).reshape(g.shape), got(way, "conv2d", x, w, **arguments))
            grad_input, grad_weight, _ = got(way, "conv2d_backward", g, x, w, **arguments)
            same((dY @ X.transpose(0, 2, 1)).sum(axis=0).reshape(w.shape), grad_weight)
            same(im2col.fold(W.T @ dY, size, spec, (6, 5)), grad_input)


@ways("max_pool_backward")
def test_s12_max_pooling_gradient_goes_to_the_recorded_maximum(way):
    """S12: where the maxima of E24.7 stood, all of it and nowhere else; overlapping windows add up."""
    g = image([[10, 20], [30, 40]])
    expected = image([[10, 0, 0, 0], [0, 0, 0, 20], [0, 0, 0, 40], [0, 30, 0, 0]])
    same(got(way, "max_pool2d_backward", g, image(X4), kernel_size=2), expected)
    index = max_pool_indices(image(X4), pool_spec(2, 2))
    same(index, image([[0, 7], [13, 11]]))
    same(np.bincount(index.ravel(), g.ravel(), 16).reshape(1, 1, 4, 4), expected)
    peak = spread([[5]], (3, 3), (1, 1))
    same(got(way, "max_pool2d_backward", g, image(peak), kernel_size=2, stride=1), image(g.sum() * (peak > 0)))
    level = got(way, "max_pool2d_backward", g, np.ones((1, 1, 4, 4)), kernel_size=2)  # of equals the first is recorded
    same(level, np.kron(g, [[1, 0], [0, 0]]))


@ways("avg_pool_backward")
def test_s12_average_pooling_gradient_is_spread_evenly(way):
    """S12: a quarter to each of the four cells; overlapping windows add up."""
    g = image([[4, 8], [12, 16]])
    same(got(way, "avg_pool2d_backward", g, image(X4), kernel_size=2), np.kron(g, np.ones((2, 2))) / 4)
    expected = image([[1, 3, 2], [4, 10, 6], [3, 7, 4]])
    same(got(way, "avg_pool2d_backward", g, np.zeros((1, 1, 3, 3)), kernel_size=2, stride=1), expected)


# ------------------------------------------------------------------------------------------ theorems: S13 to S16


@ways("convolve")
def test_s13_convolution_theorem(way):
    """S13: exactly, by the Fourier transform modulo the prime 257, where 2 is a root of unity of order 16.

    F(f * g) = F(f) F(g) at every frequency, on one axis and on two; and back, as no result leaves (-128, 128].
    """
    prime, order = 257, 16
    F = np.array([[pow(2, i * j, prime) for j in range(order)] for i in range(order)])
    inverse = np.array(
        [[pow(2, -i * j, prime) * pow(order, -1, prime) % prime for j in range(order)] for i in range(order)]
    )
    same(F @ inverse % prime, np.eye(order))

    def transform(matrix, a):
        a = spread(a, (order,) * a.ndim, (0,) * a.ndim)
        for axis in range(a.ndim):
            a = np.moveaxis(np.tensordot(matrix, a, (1, axis)) % prime, 0, axis)
        return a

    for n, m, largest in ((9, 8, 3), (12, 5, 5), ((9, 10), (8, 7), 1)):
        f, g = draw(n, 1, largest), draw(m, 2, largest)
        h = got(way, "convolve", f, g).astype(int)
        assert max(h.shape) <= order
        spectrum = transform(F, f) * transform(F, g) % prime
        same(transform(F, h), spectrum)
        back = transform(inverse, spectrum)
        same(np.where(back > 128, back - prime, back), spread(h, back.shape, (0,) * h.ndim))


@ways("conv")
def test_s14_equivariance_to_translation_only(way):
    """S14: moving the input moves the features; turning or enlarging it does not turn or enlarge them."""
    x, w = spread(draw((4, 4), 1), (9, 9), (2, 2)), draw((3, 3), 2)

    def features(x, w=w):
        return got(way, "conv2d", image(x), image(w), padding=1)[0, 0]

    for shift in product((-1, 0, 1), repeat=2):
        same(features(np.roll(x, shift, (0, 1))), np.roll(features(x), shift, (0, 1)))
    assert not np.array_equal(features(np.rot90(x)), np.rot90(features(x)))
    same(features(np.rot90(x), np.rot90(w)), np.rot90(features(x)))  # the kernel would have to turn as well
    large = features(np.kron(x, np.ones((2, 2), int)))
    assert not np.array_equal(large, np.kron(features(x), np.ones((2, 2), int)))


@ways("max_pool")
def test_s14_invariance_after_pooling_is_approximate(way):
    """S14: a shift within the window leaves the maximum, one across its edge does not; nor do turning and scaling.

    What stays the same for the L of the notes: E24.10.
    """
    for where, moved, invariant in (((0, 0), (1, 1), True), ((0, 0), (0, 1), True), ((0, 1), (0, 2), False)):
        before, after = (
            got(way, "max_pool2d", image(spread([[7]], (4, 4), at)), kernel_size=2) for at in (where, moved)
        )
        assert np.array_equal(before, after) == invariant
    small = np.array([[2, 0], [2, 2]])
    found = [
        refconv.correlate(np.pad(x, 2), L_KERNEL, "valid").max()
        for x in (L_IMAGE, np.rot90(L_IMAGE, 2), small, np.kron(small, np.ones((2, 2), int)))
    ]
    assert found == [20, 12, 12, 20]


def locally_connected(x, kernels, size):
    """An unshared layer: each output position has a kernel of its own; kernels (outputs, taps)."""
    return (kernels * im2col.patches(x, size, PLAIN)[0].T).sum(axis=1)


@ways("conv")
def test_s15_sparse_connectivity_and_shared_parameters(way):
    """S15: a convolution is a dense layer whose matrix is zero outside the windows and repeats the kernel in them.

    A locally connected layer has the same zeros and a weight for each entry; it loses equivariance to translation.
    """
    x, w = draw((1, 1, 5, 6), 1), np.arange(1, 7).reshape(1, 1, 2, 3)
    T = toeplitz.matrix(w, PLAIN, (5, 6))
    outputs, inputs, taps = 4 * 4, 5 * 6, 2 * 3
    assert T.shape == (outputs, inputs) and T.nnz == outputs * taps
    values, repeats = np.unique(T.data, return_counts=True)
    same(values, w.ravel())
    assert set(repeats) == {outputs}
    y = got(way, "conv2d", x, w)
    same(T.toarray() @ x.ravel(), y.ravel())
    shared = np.repeat(w.reshape(1, taps), outputs, axis=0)
    same(locally_connected(x, shared, (2, 3)), y.ravel())
    unshared = draw((outputs, taps), 2, 50)
    rows = T.copy().astype(int)
    rows.sort_indices()  # a row's taps in the order of the window
    rows.data = unshared.ravel()
    same(rows @ x.ravel(), locally_connected(x, unshared, (2, 3)))
    impulse = spread([[1]], (5, 6), (2, 2))
    here, there = (locally_connected(image(i), unshared, (2, 3)).reshape(4, 4) for i in (impulse, np.roll(impulse, 1)))
    assert not np.array_equal(there, np.roll(here, 1))


@pytest.mark.parametrize("layers", [[(3, 1)], [(3, 1), (3, 1)], [(7, 2), (3, 2), (3, 1)], [(5, 3), (4, 2), (2, 1)]])
def test_s16_receptive_field(layers):
    """S16: R(l) = 1 + sum of (F(j) - 1) prod of S(i), i < j; counted in the product of the layers' matrices."""
    size, whole = 60, np.eye(60, dtype=int)
    jumps = list(accumulate((s for _, s in layers), int.__mul__, initial=1))  # S(0) S(1) ... S(j - 1)
    for k, s in layers:
        spec = conv_spec(1, (k,), s)
        whole = toeplitz.matrix(np.ones((1, 1, k), int), spec, (size,)) @ whole
        (size,) = spec.output_size((size,), (k,))
    found = refconv.receptive_field(layers)
    assert found.size == 1 + sum((k - 1) * jump for (k, _), jump in zip(layers, jumps, strict=False))
    assert found.jump == jumps[-1]
    for output, row in enumerate(whole):
        assert list(np.flatnonzero(row)) == list(found.positions(output))


# ---------------------------------------------------------------------------------------- a small network: S18


class Network:
    """conv 3x3 (2 channels), ReLU, max pool 2x2, dense (3), half the squared error; all numbers whole."""

    def __init__(self, way):
        self.way = way
        self.x, self.target = draw((2, 1, 6, 6), 12, 3), draw((2, 3), 1, 9)
        shapes = {"kernel": (2, 1, 3, 3), "bias": (2,), "weight": (3, 8), "offset": (3,)}
        self.parameters = {name: draw(shape, 10 + i, 3) for i, (name, shape) in enumerate(shapes.items())}

    def forward(self, kernel, bias, weight, offset, conv2d):
        self.net = conv2d(self.x, kernel, bias)
        self.active = np.maximum(self.net, 0)
        self.flat = refconv.max_pool2d(self.active, 2).reshape(2, 8)
        self.error = self.flat @ weight.T + offset - self.target
        return (self.error**2).sum() / 2

    def gradients(self):
        """Layer by layer from the loss back, by the method in hand."""
        values = self.parameters
        self.forward(**values, conv2d=lambda *operands: got(self.way, "conv2d", *operands))
        pooled = (self.error @ values["weight"]).reshape(2, 2, 2, 2)
        active = refconv.max_pool2d_backward(pooled.astype(float), self.active.astype(float), 2)
        net = active * (self.net > 0)
        _, kernel, bias = got(self.way, "conv2d_backward", net, self.x, values["kernel"])
        return {"kernel": kernel, "bias": bias, "weight": self.error.T @ self.flat, "offset": self.error.sum(axis=0)}

    def has_no_kink(self):
        """No net input is zero and no positive maximum is shared: the loss is smooth around these parameters."""
        windows = self.active.reshape(2, 2, 2, 2, 2, 2).swapaxes(3, 4).reshape(-1, 4)
        top = np.sort(windows, axis=1)[:, -2:]
        return self.net.all() and np.all((top[:, 0] < top[:, 1]) | (top[:, 1] == 0))


@ways("conv_backward")
def test_s18_backward_pass_of_a_small_network(way):
    """S18: in each parameter the loss is a quadratic near a point without kinks: its central difference is exact.

    With h = 2^-10 nothing rounds: the loss is a multiple of 2^-21 below 2^25. A step of SGD then lowers the loss.
    """
    network = Network(way)
    gradients = network.gradients()
    assert network.has_no_kink()
    parameters = {name: values.astype(float) for name, values in network.parameters.items()}

    def loss():
        value = network.forward(**parameters, conv2d=lambda x, *others: refconv.conv2d(x.astype(float), *others))
        assert value < 2**25
        return value

    start, h = loss(), 2.0**-10
    for name, values in parameters.items():
        for at in np.ndindex(values.shape):
            middle = values[at]
            values[at] = middle + h
            above = loss()
            values[at] = middle - h
            below = loss()
            values[at] = middle
            assert (above - below) / (2 * h) == gradients[name][at]
    for name, values in parameters.items():
        values -= 2.0**-14 * gradients[name]
    assert loss() < start


def test_s18_a_step_of_sgd_as_pytorch_takes_it():
    """S18: loss, gradients and the parameters after a step are PyTorch's in float64; nothing rounds."""
    torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")
    network = Network(("direct", "int64"))
    gradients = network.gradients()
    ours = (network.error**2).sum() / 2
    tensors = {k: torch.tensor(v, dtype=torch.float64, requires_grad=True) for k, v in network.parameters.items()}
    x, target = (torch.tensor(a, dtype=torch.float64) for a in (network.x, network.target))
    functional = torch.nn.functional
    features = functional.max_pool2d(functional.relu(functional.conv2d(x, tensors["kernel"], tensors["bias"])), 2)
    loss = ((functional.linear(features.flatten(1), tensors["weight"], tensors["offset"]) - target) ** 2).sum() / 2
    loss.backward()
    assert loss.item() == ours
    rate = 2.0**-14
    torch.optim.SGD(list(tensors.values()), lr=rate).step()
    for name, tensor in tensors.items():
        same(tensor.grad.numpy(), gradients[name])
        same(tensor.detach().numpy(), network.parameters[name] - rate * gradients[name])


# ----------------------------------------------------------------------------------------- PyTorch's layer: S20

LAYERS = {  # in_channels, out_channels, kernel_size, size of the input, arguments
    "edges": (1, 1, (1, 2), (6, 8), {}),
    "3x3, padding 1 keeps 8x8": (1, 1, 3, (8, 8), {"padding": 1}),
    "padding 1, stride (3, 2)": (1, 1, 2, (3, 3), {"padding": 1, "stride": (3, 2)}),
    "all of it": (4, 6, (3, 2), (7, 8), {"stride": (1, 2), "padding": (2, 1), "dilation": (2, 1), "groups": 2}),
    "same": (2, 3, (3, 2), (5, 6), {"padding": "same"}),
    "reflect": (2, 3, 3, (5, 6), {"padding": (2, 1), "padding_mode": "reflect"}),
    "replicate": (2, 3, 3, (5, 6), {"padding": (2, 1), "padding_mode": "replicate"}),
    "circular": (2, 3, 3, (5, 6), {"padding": (2, 1), "padding_mode": "circular"}),
}


@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize("label", LAYERS)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
def test_s20_conv2d_as_a_user_of_pytorch_calls_it(label, bias):
    """S20: torch.nn.Conv2d with every argument that the notes list, forward and backward, whole numbers."""
    torch = pytest.importorskip("torch", reason="pip install 'refconv[torch]'")
    channels, out, kernel_size, size, arguments = LAYERS[label]
    layer = torch.nn.Conv2d(channels, out, kernel_size, bias=bias, dtype=torch.float64, **arguments)
    with torch.no_grad():
        for i, parameter in enumerate(layer.parameters()):
            parameter.copy_(torch.tensor(draw(tuple(parameter.shape), i)))
    x = torch.tensor(draw((2, channels, *size), 5).astype(float), requires_grad=True)
    expected = layer(x)
    operands = [tensor.detach().numpy() for tensor in (x, *layer.parameters())]
    for method, row in ALGORITHMS.items():
        w = operands[1]
        plain = {k: v for k, v in arguments.items() if k != "padding_mode"}
        if not row.refuses("conv2d", conv_spec(2, w.shape[2:], **plain), size, w.shape[2:], w.dtype):
            y = refconv.conv2d(*operands, **arguments, method=method)
            same(np.rint(y) if method in ROUNDING else y, expected.detach().numpy())
    if label == "3x3, padding 1 keeps 8x8":
        assert expected.shape == (2, 1, 8, 8)
    if "padding_mode" not in arguments:
        g = draw(tuple(expected.shape), 6)
        expected.backward(torch.tensor(g, dtype=torch.float64))
        grads = got(("im2col", "float64"), "conv2d_backward", g, operands[0], operands[1], **arguments)
        for grad, tensor in zip(grads, (x, *layer.parameters()), strict=False):
            same(grad, tensor.grad.numpy())


# --------------------------------------------------------------------------------------------- slips: what is right


def test_erratum_1_index_of_a_pooling_window():
    """Erratum 1: x[k+m-1, l+n-1] is stride 1; windows side by side need x[(k-1)M+m, (l-1)N+n]."""
    M = N = 2
    x = np.pad(X4, ((1, 0), (1, 0)))  # counted from one
    cells, places = list(product((1, 2), repeat=2)), list(product((1, 2), repeat=2))
    printed = [max(x[k + m - 1, n_ + n - 1] for m, n in cells) for k, n_ in places]
    right = [max(x[(k - 1) * M + m, (n_ - 1) * N + n] for m, n in cells) for k, n_ in places]
    assert (printed, right) == ([3, 2, 2, 2], [3, 2, 3, 3])
    for method in MAX_POOL:
        same(refconv.max_pool2d(image(X4), 2, method=method).ravel(), right)
        same(refconv.max_pool2d(image(X4), 2, 1, method=method)[0, 0, :2, :2].ravel(), printed)


def test_erratum_2_index_of_the_kernel_in_the_input_gradient():
    """Erratum 2: dX[i, j] sums w[i-k+1, j-l+1] dZ[k, l], not w[i-k+1, j-1+1] dZ[k, l]."""
    w, g = FOUR + 1, image([[1, 10], [100, 1000]])

    def gradient(column):
        def weight(m, n):
            return w[m - 1, n - 1] if 1 <= m <= 2 and 1 <= n <= 2 else 0

        outputs = list(product((1, 2), repeat=2))
        return [
            [sum(weight(i - k + 1, column(j, n)) * g[0, 0, k - 1, n - 1] for k, n in outputs) for j in (1, 2, 3)]
            for i in (1, 2, 3)
        ]

    right, printed = gradient(lambda j, n: j - n + 1), gradient(lambda j, n: j - 1 + 1)
    assert right != printed
    for method in REGISTRIES["conv_backward"]:
        if method not in ROUNDING:
            same(refconv.conv2d_backward(g, image(NINE), image(w), method=method)[0], image(right))


def test_erratum_3_shape_of_the_bias():
    """Erratum 3: one element for each output channel, or for each output; c_o x c_i does not exist."""
    x, w = draw((1, 3, 4, 5), 1), draw((2, 3, 2, 2), 2)
    y = refconv.conv2d(x, w)
    for bias in (draw(2, 3), draw((2, 3, 4), 4)):
        for method in ALGORITHMS:
            if method not in ROUNDING:
                same(refconv.conv2d(x, w, bias, method=method), y + bias.reshape(2, *bias.shape[1:] or (1, 1)))
    with pytest.raises(ValueError, match=r"`bias` has shape \(2, 3\), but must be \(2,\)"):
        refconv.conv2d(x, w, draw((2, 3), 5))
    g = draw(y.shape, 6)
    same(refconv.conv2d_backward(g, x, w)[2], g.sum(axis=(0, 2, 3)))


def test_erratum_4_the_integrand_of_the_convolution():
    """Erratum 4: f(tau) g(t - tau), where f(tau) f(tau) g(t - tau) is printed, which would not even commute."""
    f, g = draw(5, 1), draw(3, 2)
    for method in CONVOLVE:
        if method not in ROUNDING:
            right, printed = refconv.convolve(f, g, method=method), refconv.convolve(f * f, g, method=method)
            same(right, [sum(f[t] * g[k - t] for t in range(5) if 0 <= k - t < 3) for k in range(7)])
            same(right, refconv.convolve(g, f, method=method))
            assert not np.array_equal(printed, right)
            assert not np.array_equal(printed, refconv.convolve(g * g, f, method=method))


def test_erratum_5_sign_of_the_padding_in_the_size():
    """Erratum 5: n - k + p + 1, where the height is printed with - p; the notes' own C6.3.1 has 4, not 0."""
    n, k, p = 3, 2, 2
    assert (n - k + p + 1, n - k - p + 1) == (4, 0)
    for method in ALGORITHMS:
        assert refconv.conv2d(image(NINE * 1.0), image(FOUR * 1.0), padding=1, method=method).shape == (1, 1, 4, 4)


def test_erratum_6_axes_of_the_input():
    """Erratum 6: (batch, channels, height, width); (in, out, height, width) is the order of nothing."""
    x, w = draw((5, 3, 4, 6), 1).astype(float), draw((2, 3, 2, 2), 2).astype(float)
    for method in ALGORITHMS:
        assert refconv.conv2d(x, w, method=method).shape == (5, 2, 3, 5)
        with pytest.raises(ValueError, match="its second axis must be in_channels"):
            refconv.conv2d(x.reshape(3, 5, 4, 6), w, method=method)


def test_erratum_7_size_under_a_stride_that_does_not_divide():
    """Erratum 7: with p = k - 1 the size is floor((n + s - 1)/s), which is n/s only where s divides n."""
    for n, k, s in product(range(3, 9), (1, 2, 3, 4), (1, 2, 3)):
        x, w = np.ones((1, 1, n)), np.ones((1, 1, k))
        p = k - 1
        size = refconv.conv1d(x, w, stride=s, padding=((p - p // 2, p // 2),)).shape[2]
        assert size == (n - k + p + s) // s == (n + s - 1) // s
        assert (size == n // s) == (n % s == 0)


def test_erratum_8_last_input_channel():
    """Erratum 8: the sum over input channels runs from 0 to c_i - 1; printed to c_i it would need one more."""
    x, w = np.array([NINE, NINE + 1]), np.array([FOUR, FOUR + 1])
    total = sum(correlated(x[i], w[i]) for i in range(2))
    same(total, [[56, 72], [104, 120]])
    for method in ALGORITHMS:
        if method not in ROUNDING:
            same(refconv.conv2d(x[None], w[None], method=method), image(total))
    with pytest.raises(IndexError, match="index 2 is out of bounds"):
        sum(correlated(x[i], w[i]) for i in range(2 + 1))


# ------------------------------------------------------------------------------------------------------ the list

DOCUMENTS = {
    "S1": "test_s1_mathematical_convolution_commutes",
    "S2": "test_s2_cross_correlation_is_mirrored_when_swapped",
    "S3": "test_s3_convolution_is_correlation_with_the_kernel_flipped_on_every_axis",
    "S4": "test_s4_stride_of_each_axis_and_the_output_size",
    "S5": "test_s5_channels_pointwise_convolution_and_bias",
    "S6": "test_s6_dilation_groups_and_padding_modes",
    "S7": "test_s7_max_pooling",
    "S8": "test_s8_average_pooling_is_a_convolution_with_a_constant_kernel",
    "S9": "test_s9_upsampling_is_the_adjoint_of_pooling",
    "S10": "test_s10_gradients_of_kernel_input_and_bias",
    "S11": "test_s11_im2col_and_col2im_in_matrix_form",
    "S12": "test_s12_max_pooling_gradient_goes_to_the_recorded_maximum",
    "S13": "test_s13_convolution_theorem",
    "S14": "test_s14_equivariance_to_translation_only",
    "S15": "test_s15_sparse_connectivity_and_shared_parameters",
    "S16": "test_s16_receptive_field",
    "S17": "test_s17_a_layer_with_true_convolution_learns_the_flipped_kernel",
    "S18": "test_s18_backward_pass_of_a_small_network",
    "S19": "test_network_tables.py::test_parameter_counts_are_the_published_ones",
    "S20": "test_s20_conv2d_as_a_user_of_pytorch_calls_it",
    "E24.1": "test_e24_1_gaussian_smoothing_has_the_continuous_convolution_as_its_limit",
    "E24.2": "test_e24_2_basic_convolution",
    "E24.3": "test_e24_3_padding",
    "E24.4": "test_e24_4_stride",
    "E24.5": "test_e24_5_feature_detection",
    "E24.6": "test_e24_6_three_channels_are_summed",
    "E24.7": "test_e24_7_max_pooling",
    "E24.8": "test_e24_8_average_pooling",
    "E24.9": "test_e24_9_pooling_keeps_channels_apart",
    "E24.10": "test_e24_10_the_pooled_response_ignores_a_shift",
    "C5.1": "test_c5_1_a_two_by_two_kernel",
    "C6.3.1": "test_c6_3_1_padded",
    "C6.3.2": "test_c6_3_2_padded_and_strided",
    "C6.4.1": "test_c6_4_1_two_input_channels",
    "EDGE": "test_edge_detection",
    "LEARN": "test_learn_the_edge_kernel_from_data",
    "SIZE": "test_receptive.py::test_fifty_five_layers_leave_four",
    "RF": "test_receptive.py::test_two_layers_see_five",
    "PARAMS": "test_params_of_dense_local_and_shared_layers",
    "FC": "test_fc_weights_of_the_first_dense_layer",
    "SEED-BP": "test_seed_bp_forward_and_backward_entry_by_entry",
    "Erratum 1": "test_erratum_1_index_of_a_pooling_window",
    "Erratum 2": "test_erratum_2_index_of_the_kernel_in_the_input_gradient",
    "Erratum 3": "test_erratum_3_shape_of_the_bias",
    "Erratum 4": "test_erratum_4_the_integrand_of_the_convolution",
    "Erratum 5": "test_erratum_5_sign_of_the_padding_in_the_size",
    "Erratum 6": "test_erratum_6_axes_of_the_input",
    "Erratum 7": "test_erratum_7_size_under_a_stride_that_does_not_divide",
    "Erratum 8": "test_erratum_8_last_input_channel",
}


def test_the_list_is_complete():
    """Every label of the notes has its test: systems 1 to 20, worked examples, errata 1 to 8."""
    systems = {f"S{i}" for i in range(1, 21)}
    examples = {f"E24.{i}" for i in range(1, 11)} | {"C5.1", "C6.3.1", "C6.3.2", "C6.4.1"}
    examples |= {"EDGE", "LEARN", "SIZE", "RF", "PARAMS", "FC", "SEED-BP"}
    assert set(DOCUMENTS) == systems | examples | {f"Erratum {i}" for i in range(1, 9)}


@functools.cache
def docstrings(file):
    """The docstring of each test of a file of this folder."""
    module = ast.parse((Path(__file__).parent / file).read_text(encoding="utf-8"))
    return {node.name: ast.get_docstring(node) or "" for node in module.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("label", DOCUMENTS)
def test_the_list_is_true(label):
    """The test exists and cites its label; in this file it is also named after it."""
    file, _, name = DOCUMENTS[label].rpartition("::")
    docstring = docstrings(file or Path(__file__).name)[name]
    assert re.search(rf"(?<![\w.]){re.escape(label)}(?!\w|\.\d)", docstring)
    assert file or name.startswith(f"test_{re.sub(r'[^a-z0-9]', '_', label.lower())}_")
