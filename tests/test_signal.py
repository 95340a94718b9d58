"""`convolve` and `correlate` against scipy.signal, bit for bit on whole numbers, and the theorems of the documents."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
import scipy.signal

from refconv.algorithms.signal import CONVOLVE
from refconv.signal import convolve, correlate
from refconv.spec import MODES

METHODS = ["auto", *CONVOLVE]
EXACT = ["auto", *(name for name, way in CONVOLVE.items() if way.claim == "direct")]
CALLS = {convolve: scipy.signal.convolve, correlate: scipy.signal.correlate}
SIZES = [
    ((7,), (3,)),
    ((3,), (8,)),
    ((4,), (4,)),
    ((1,), (5,)),
    ((70,), (3,)),
    ((5, 6), (2, 3)),
    ((2, 3), (5, 3)),
    ((3, 6), (4, 2)),
    ((40, 35), (3, 2)),
    ((4, 3, 5), (2, 3, 2)),
    ((2, 1, 2), (3, 4, 2)),
    ((), ()),
]


def whole(rng, shape, dtype):
    """Small whole numbers, or Gaussian integers for a complex format: every sum of products is exact."""
    values = rng.integers(-5, 6, shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * rng.integers(-5, 6, shape)
    return np.asarray(values).astype(dtype)


def rounded(result, method):
    """The transforms are off by far less than one half here."""
    if result.dtype.kind == "c":
        return np.rint(result.real) + 1j * np.rint(result.imag) if method not in EXACT else result
    return np.rint(result) if method not in EXACT else result


def fits(size1, size2, mode):
    pairs = list(zip(size1, size2, strict=True))
    return mode != "valid" or all(n >= m for n, m in pairs) or all(n <= m for n, m in pairs)


@pytest.mark.parametrize("dtype", ["float64", "complex128", "float32", "complex64", "int64"])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ours", CALLS, ids=lambda call: call.__name__)
def test_whole_numbers_as_scipy(ours, method, dtype):
    """S1, S2: every mode, one to three axes, either operand the larger one."""
    if np.dtype(dtype).kind == "i" and method not in EXACT:
        return  # refused: see the table of bad arguments
    rng = np.random.default_rng(1)
    for size1, size2 in SIZES:
        a, b = whole(rng, size1, dtype), whole(rng, size2, dtype)
        for mode in [m for m in MODES if fits(size1, size2, m)]:
            expected = np.asarray(CALLS[ours](a, b, mode, method="direct"))
            result = ours(a, b, mode, method=method)
            assert (result.dtype, result.shape) == (np.dtype(dtype), expected.shape)
            assert np.array_equal(rounded(result, method), expected), (size1, size2, mode)
            assert result.flags.owndata and result.flags.c_contiguous
            assert not np.shares_memory(result, a) and not np.shares_memory(result, b)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("ours", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16])
def test_narrow_formats_are_summed_in_float32_and_rounded_once(ours, method, dtype):
    """256 + 1 + 1: bfloat16 would drop the ones; 2048 + 1 + 1 likewise in float16."""
    big = 256 if dtype is not np.float16 else 2048
    a, b = np.array([big, 1, 1], dtype), np.array([1, 1, 1], dtype)
    result = ours(a, b, "valid", method=method)
    assert result.dtype == dtype and result.tolist() == [big + 2]


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "uint64"])
def test_integers_add_up_in_int64(dtype):
    a = np.full(300, 100, dtype)
    for method in EXACT:
        result = convolve(a, a, "same", method=method)
        assert result.dtype == np.int64 and result.max() == 300 * 10_000
    assert convolve(np.array(100, dtype), np.array(100, dtype)).tolist() == 10_000


def test_integers_reach_the_edge_of_int64_and_no_further():
    edge = [2**62 - 1, 1]
    for method in EXACT:
        assert convolve(edge, [1, 1], method=method).tolist() == [2**62 - 1, 2**62, 1]
        with pytest.raises(OverflowError, match=r"`in1` and `in2` hold integers up to 4611686018427387904"):
            convolve([2**62, 1], [1, 1], method=method)
        with pytest.raises(OverflowError, match="convert both to float64"):
            convolve(np.array([2**63], np.uint64), np.array([0], np.uint64), method=method)


@pytest.mark.parametrize("method", METHODS)
def test_any_layout_is_read_and_nothing_is_written(method):
    rng = np.random.default_rng(2)
    a, b = whole(rng, (8, 9), "float64")[::-2, ::2], whole(rng, (3, 2), "float64").T
    copies = a.copy(), b.copy()
    for array in (a, b):
        array.flags.writeable = False
    assert np.array_equal(convolve(a, b, method=method), convolve(*copies, method=method))
    assert np.array_equal(a, copies[0]) and np.array_equal(b, copies[1])
    assert np.array_equal(convolve(a.tolist(), b.tolist(), method=method), convolve(a, b, method=method))
    assert np.array_equal(convolve(a.astype(">f8"), b, method=method), convolve(a, b, method=method))


@pytest.mark.parametrize("method", EXACT)
def test_nan_and_infinity_stay_where_their_products_are(method):
    a = np.array([1.0, np.nan, 2.0, 3.0, np.inf, 4.0, 5.0, 6.0])
    for first, second in ((a, np.array([1.0, 1.0])), (np.array([1.0, 1.0]), a)):
        result = convolve(first, second, method=method)
        expected = [1.0, np.nan, np.nan, 5.0, np.inf, np.inf, 9.0, 11.0, 6.0]
        assert np.array_equal(result, expected, equal_nan=True)


@pytest.mark.parametrize("method", METHODS)
def test_any_numbers_meet_the_bound_of_their_class(method):
    """direct: gamma_n (|a| * |b|) at every output, n products and their sum [Higham 2002, sec. 3.1].

    fft: normwise, ||error|| <= 24 log2(N) u ||a|| ||b||, three transforms of N points at 8 log2(N) u each, generously
    [Higham 2002, sec. 24.1, with eta = 4 u for a radix-2 butterfly].
    """
    rng = np.random.default_rng(7)
    for size1, size2 in SIZES[:-1]:
        a, b = (rng.standard_normal(size).astype(np.float32) for size in (size1, size2))
        wide = a.astype(np.float64), b.astype(np.float64)
        error = np.abs(convolve(a, b, method=method) - convolve(*wide))
        n = (min(a.size, b.size) + 1) * 2.0**-24
        points = np.prod([n + m for n, m in zip(size1, size2, strict=True)]) * 2
        if method in EXACT:
            assert np.all(error <= n / (1 - n) * convolve(*map(np.abs, wide)))
        else:
            norms = np.linalg.norm(wide[0]) * np.linalg.norm(wide[1])
            assert np.linalg.norm(error) <= 24 * np.log2(points) * 2.0**-24 * norms


# ---------------------------------------------------------------------------------------------- theorems


@pytest.mark.parametrize("method", EXACT)
def test_convolution_commutes_and_correlation_is_mirrored(method):
    """S1: f * g = g * f. S2: corr(f, g)(t) = conj corr(g, f)(-t), so that correlation does not commute."""
    rng = np.random.default_rng(3)
    f, g = whole(rng, (4, 5), "complex128"), whole(rng, (3, 2), "complex128")
    assert np.array_equal(convolve(f, g, method=method), convolve(g, f, method=method))
    swapped = correlate(g, f, method=method)
    assert np.array_equal(correlate(f, g, method=method), np.flip(swapped).conj())
    assert not np.array_equal(correlate(f, g, method=method), swapped)


@pytest.mark.parametrize("method", EXACT)
def test_convolution_is_correlation_with_the_kernel_flipped(method):
    """S3: on every axis."""
    rng = np.random.default_rng(4)
    f, g = whole(rng, (4, 5, 3), "float64"), whole(rng, (3, 2, 2), "float64")
    for mode in MODES:
        assert np.array_equal(convolve(f, g, mode, method=method), correlate(f, np.flip(g), mode, method=method))


def test_transform_of_a_convolution_is_the_product_of_the_transforms():
    """S13, over the discrete transform of the full length: whole numbers come back after rounding."""
    rng = np.random.default_rng(5)
    f, g = whole(rng, (6, 5), "float64"), whole(rng, (4, 3), "float64")
    full = (9, 7)
    back = np.fft.ifft2(np.fft.fft2(f, full) * np.fft.fft2(g, full))
    assert np.array_equal(np.rint(back.real), convolve(f, g))
    # at frequency zero the theorem is exact: sums multiply
    assert convolve(f, g).sum() == f.sum() * g.sum()


@pytest.mark.parametrize("method", METHODS)
def test_gaussian_smoothing(method):
    """S1 (E24.1): two Gaussian kernels convolve into one whose variance is the sum.

    Bound: sampled at unit steps with sigma >= 2, aliasing is below exp(-2 pi^2 sigma^2) < 2^-100 and the cut tails at
    8 sigma below 2^-45, so 2^-40 leaves room for the rounding of 129 products below 2^-2 each, gamma_129 < 2^-45.
    """

    def gaussian(variance, reach):
        t = np.arange(-reach, reach + 1.0)
        return np.exp(-(t**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)

    result = convolve(gaussian(4.0, 64), gaussian(9.0, 64), "same", method=method)
    assert np.max(np.abs(result - gaussian(13.0, 64))) < 2.0**-40


# ----------------------------------------------------------------------------------------- bad arguments

BAD = [
    (([], [1.0]), {}, ValueError, r"`in1` has shape \(0,\), but must hold at least one element"),
    (([1.0], [[]]), {}, ValueError, r"`in2` has shape \(1, 0\)"),
    (([1.0], [[1.0]]), {}, ValueError, "`in1` has 1 axes and `in2` 2"),
    (([1.0], [1]), {}, TypeError, "`in1` has dtype float64 and `in2` int64, but both must be the same"),
    (([True], [True]), {}, TypeError, "`in1` has dtype bool, but must have bfloat16, complex128, complex64, float16"),
    ((["a"], ["b"]), {}, TypeError, "`in1` has dtype <U1"),
    (([1.0], [1.0]), {"mode": "half"}, ValueError, "`mode` is 'half', but must be one of full, same, valid"),
    (([1.0], [1.0]), {"method": "x"}, ValueError, "must be one of auto, direct, fft, overlap_add, toeplitz"),
    (([1], [1]), {"method": "fft"}, NotImplementedError, "`method` is 'fft'.*use one of direct, toeplitz"),
    (([1], [1]), {"method": "overlap_add"}, NotImplementedError, "`method` is 'overlap_add'"),
    ((np.ones((2, 3)), np.ones((3, 2))), {"mode": "valid"}, ValueError, "`mode` is 'valid', but neither"),
]


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.__name__)
@pytest.mark.parametrize(("operands", "arguments", "error", "message"), BAD, ids=[row[-1] for row in BAD])
def test_bad_arguments(call, operands, arguments, error, message):
    with pytest.raises(error, match=message):
        call(*operands, **arguments)


def test_every_way_is_described_and_the_default_sums_directly():
    assert all(way.claim in ("direct", "fft") and way.summary for way in CONVOLVE.values())
    rng = np.random.default_rng(6)
    a, b = rng.standard_normal(50), rng.standard_normal(20)
    assert np.array_equal(convolve(a, b), convolve(a, b, method="direct"))
