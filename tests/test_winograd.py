"""Winograd: exact matrices for many F(m, r), nested tiles that join, and the sizes that are taken."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from refconv.algorithms import direct, winograd
from refconv.spec import ConvSpec

FLAT = ConvSpec((1, 1), ((1, 2), (0, 1)), (1, 1))


def draw(shape, seed=0):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype("float64")


def assert_computes_correlation(A, G, B, m, r):
    """On basis vectors: the sum of A[i, j] G[i, k] B[l, i] over i must be 1 where l = j + k, else 0."""
    tile = m + r - 1
    assert (len(A), len(A[0]), len(G), len(G[0]), len(B), len(B[0])) == (len(G), m, len(B[0]), r, tile, len(A))
    for j, k, at in itertools.product(range(m), range(r), range(tile)):
        total = sum(A[i][j] * G[i][k] * B[at][i] for i in range(len(A)))
        assert total == (at == j + k)
    assert all(isinstance(entry, Fraction) for matrix in (A, G, B) for row in matrix for entry in row)


@pytest.mark.parametrize(("m", "r"), [(m, r) for m in range(1, 8) for r in range(1, 8)])
def test_the_matrices_compute_correlation_exactly(m, r):
    assert_computes_correlation(*winograd.transform_matrices(m, r), m, r)


def test_given_points_compute_correlation_exactly():
    points = (Fraction(1, 3), Fraction(-5, 7), Fraction(3), Fraction(0))
    assert_computes_correlation(*winograd.transform_matrices(3, 3, points), 3, 3)
    assert_computes_correlation(*winograd.transform_matrices(1, 3, (2, 5)), 1, 3)


def test_f23_is_that_of_the_literature():
    """Lavin & Gray 2016, up to signs that two matrices share: row 0 of G and B^T, the last row of A and B^T."""
    A, G, B = winograd.transform_matrices(2, 3)
    half = Fraction(1, 2)
    assert A == ((1, 0), (1, 1), (1, -1), (0, 1))
    assert list(G) == [(-1, 0, 0), (half, half, half), (half, -half, half), (0, 0, 1)]
    transposed = tuple(zip(*B, strict=True))
    assert transposed == ((-1, 0, 1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, -1, 0, 1))


def test_with_dyadic_points_only_g_is_rounded():
    for m, r in ((2, 3), (4, 3), (4, 5), (6, 3)):
        A, _, B = winograd.transform_matrices(m, r)
        assert all(Fraction(float(entry)) == entry for matrix in (A, B) for row in matrix for entry in row)


def test_wrong_points_and_sizes_are_refused():
    with pytest.raises(ValueError, match="must be 3 different numbers"):
        winograd.transform_matrices(2, 3, (0, 1, 1))
    with pytest.raises(ValueError, match=r"`m` \(=0\) and `r` \(=3\) must be at least 1"):
        winograd.transform_matrices(0, 3)


@pytest.mark.parametrize("kernel", [(3, 3), (1, 5), (2, 7), (9, 1), (4, 6)])
@pytest.mark.parametrize("size", [(9, 10), (23, 31), (40, 12)])
def test_tiles_join_without_a_seam(kernel, size):
    x, w = draw((2, 4, *size)), draw((6, 2, *kernel), 1)
    spec = ConvSpec((1, 1), FLAT.padding, (1, 1), groups=2)
    y = direct.conv(x, w, spec)
    assert np.array_equal(np.rint(winograd.conv(x, w, spec)), y)
    g = draw(y.shape, 2)
    assert np.array_equal(np.rint(winograd.input_grad(g, w, spec, size)), direct.input_grad(g, w, spec, size))
    assert np.array_equal(np.rint(winograd.weight_grad(g, x, spec, kernel)), direct.weight_grad(g, x, spec, kernel))


@pytest.mark.parametrize("budget", [1, 2000, 10**5])
def test_no_size_of_block_changes_a_result(budget, monkeypatch):
    x, w = draw((3, 2, 17, 19)), draw((2, 2, 3, 3), 1)
    monkeypatch.setattr(winograd, "BLOCK_BYTES", budget)
    monkeypatch.setattr(winograd, "PRODUCT_SIZE", 1)
    y = direct.conv(x, w, FLAT)
    assert np.array_equal(np.rint(winograd.conv(x, w, FLAT)), y)
    assert np.array_equal(np.rint(winograd.weight_grad(y, x, FLAT, (3, 3))), direct.weight_grad(y, x, FLAT, (3, 3)))


def test_padding_beyond_the_kernel_crops_the_gradient():
    spec = ConvSpec((1,), ((6, 4),), (1,))
    g, w = draw((1, 1, 13)), draw((1, 1, 3), 1)
    assert np.array_equal(np.rint(winograd.input_grad(g, w, spec, (5,))), direct.input_grad(g, w, spec, (5,)))


@pytest.mark.parametrize(
    ("outputs", "taps", "m"),
    [(1, 3, 1), (2, 3, 2), (5, 3, 2), (7, 3, 4), (14, 3, 4), (99, 5, 4), (99, 7, 2), (99, 8, 1), (99, 1, 1)],
)
def test_no_tile_is_larger_than_useful(outputs, taps, m):
    assert winograd.tile(ConvSpec((1,), ((0, 0),), (1,)), (outputs + taps - 1,), (taps,)) == (m,)


def test_what_is_refused_says_why():
    refuses = winograd.refuses
    double = np.dtype("float64")
    strided = ConvSpec((2, 1), FLAT.padding, (1, 1))
    assert refuses("conv2d", strided, (9, 9), (3, 3), double) == "`stride` is (2, 1), but must be 1 on every axis"
    dilated = ConvSpec((1, 1), FLAT.padding, (1, 3))
    assert refuses("conv2d", dilated, (9, 9), (3, 3), double) == "`dilation` is (1, 3), but must be 1 on every axis"
    assert "not int64" in refuses("conv2d", FLAT, (9, 9), (3, 3), np.dtype("int64"))
    for name in ("conv_transpose2d", "conv2d_backward"):
        assert refuses(name, FLAT, (9, 9), (3, 3), double) == ""
