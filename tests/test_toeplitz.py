"""Convolution as a sparse matrix: where its entries stand, how they are shared, and how many are too many."""

import math

import numpy as np
import pytest

from refconv import convolution
from refconv.algorithms import toeplitz
from refconv.spec import ConvSpec

PLAIN = ConvSpec((1, 1), ((0, 0), (0, 0)), (1, 1))


def draw(shape, seed=0):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype("float64")


def test_the_matrix_of_a_small_convolution_entry_by_entry():
    """S15: a 3x3 image, a 2x2 kernel; each row is an output, each weight stands in it once."""
    w, x, y, z = kernel = [1, 2, 3, 4]
    T = toeplitz.matrix(np.array(kernel).reshape(1, 1, 2, 2), PLAIN, (3, 3)).toarray()
    assert T.tolist() == [
        [w, x, 0, y, z, 0, 0, 0, 0],
        [0, w, x, 0, y, z, 0, 0, 0],
        [0, 0, 0, w, x, 0, y, z, 0],
        [0, 0, 0, 0, w, x, 0, y, z],
    ]


@pytest.mark.parametrize("groups", [1, 2])
def test_the_matrix_is_the_convolution_and_its_transpose_the_gradient(groups):
    spec = ConvSpec((2, 1), ((1, 0), (2, 3)), (1, 2), groups)
    x, w = draw((1, 4, 5, 6)), draw((6, 4 // groups, 3, 2), 1)
    T = toeplitz.matrix(w, spec, (5, 6))
    y = convolution.conv2d(x, w, None, spec.stride, spec.padding, spec.dilation, groups)
    assert np.array_equal(T @ x.ravel(), y.ravel())
    grad, _, _ = convolution.conv2d_backward(y, x, w, spec.stride, spec.padding, spec.dilation, groups)
    assert np.array_equal(T.T @ y.ravel(), grad.ravel())


def test_connectivity_is_sparse_and_parameters_are_shared():
    """S15: no more entries than taps for each output, and only as many different numbers as weights."""
    w = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    T = toeplitz.matrix(w, PLAIN, (8, 8))
    assert T.shape == (36, 64)
    assert T.nnz == 36 * 9
    values, counts = np.unique(T.data, return_counts=True)
    assert values.tolist() == w.ravel().tolist()
    assert set(counts) == {36}


def test_padded_taps_have_no_entry_and_zero_weights_have():
    """An infinity over the border vanishes; a NaN under a weight of zero does not."""
    y = toeplitz.conv(np.ones((1, 1, 3)), np.array([[[np.inf, 1.0]]]), ConvSpec((1,), ((1, 1),), (1,)))
    assert y.tolist() == [[[1.0, np.inf, np.inf, np.inf]]]
    y = toeplitz.conv(np.array([[[1.0, np.nan, 1, 1]]]), np.zeros((1, 1, 2)), ConvSpec((1,), ((0, 0),), (1,)))
    assert np.isnan(y).tolist() == [[[True, True, False]]]


def test_a_tap_that_never_meets_the_input_has_a_gradient_of_zero():
    spec = ConvSpec((1,), ((3, 0),), (3,))
    x, g = np.full((2, 1, 2), 2.0), np.ones((2, 1, 2))
    assert toeplitz.weight_grad(g, x, spec, (2,)).tolist() == [[[0.0, 8.0]]]


def test_too_large_a_matrix_is_refused_and_others_are_named(monkeypatch):
    monkeypatch.setattr(toeplitz, "LARGEST_MATRIX", 100)
    x, w = draw((1, 1, 8, 8)), draw((1, 1, 3, 3))
    message = (
        "`method` 'toeplitz' cannot do this conv2d: its matrix would have 324 entries, but at most 100 are allowed"
    )
    with pytest.raises(NotImplementedError) as caught:
        convolution.conv2d(x, w, method="toeplitz")
    assert str(caught.value) == f"{message}; methods that can: direct, fft, im2col, winograd"
    assert math.prod((36, 9)) == 324
