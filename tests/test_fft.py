"""Convolution by Fourier transform: the theorem itself, tiles of every length, and what it refuses."""

import numpy as np
import pytest

from refconv.algorithms import direct, fft
from refconv.spec import ConvSpec

PLAIN = ConvSpec((1,), ((0, 0),), (1,))
FLAT = ConvSpec((1, 1), ((1, 2), (0, 1)), (1, 1))


def draw(shape, seed=0):
    return np.random.default_rng(seed).integers(-8, 9, shape).astype("float64")


def test_the_transform_of_a_convolution_is_the_product_of_the_transforms():
    """S13, by the sum that defines the transform: conv with a flipped kernel and full padding is true convolution."""
    f, g = draw(5), draw(3, 1)
    full = fft.conv(f[None, None], g[None, None, ::-1], ConvSpec((1,), ((2, 2),), (1,)))[0, 0]
    powers = np.exp(-2j * np.pi / 7 * np.outer(np.arange(7), np.arange(7)))
    product = (powers[:, :5] @ f) * (powers[:, :3] @ g)
    assert np.array_equal(np.rint((powers @ full).real), np.rint(product.real))
    assert np.array_equal(np.rint(full), np.convolve(f, g))


@pytest.mark.parametrize("tile", [8, 16, 32])
@pytest.mark.parametrize("channels", [1, 3])
def test_tiles_join_without_a_seam(tile, channels, monkeypatch):
    x, w = draw((2, 2 * channels, 37, 50)), draw((4, channels, 3, 4), 1)
    spec = ConvSpec((1, 2), FLAT.padding, (2, 1), groups=2)
    monkeypatch.setattr(fft, "_tiling", lambda padded, extent, x, w: (tile, tile))
    assert np.array_equal(np.rint(fft.conv(x, w, spec)), direct.conv(x, w, spec))


def test_a_long_signal_is_cut_into_tiles_and_a_short_one_is_not():
    assert fft._tiling((10**6,), (31,), (1, 1, 1, 10**6), (1, 1, 1, 31))[0] in fft.TILES
    assert fft._tiling((40,), (31,), (1, 1, 1, 40), (1, 1, 1, 31)) == (40,)
    x, w = draw((1, 1, 100_000)), draw((1, 1, 31), 1)
    assert np.array_equal(np.rint(fft.conv(x, w, PLAIN)), direct.conv(x, w, PLAIN))


def test_no_transform_is_longer_than_stated():
    for n in (1, 7, 31, 33, 64, 1000, 4099):
        for e in (1, 2, 5, 31):
            stated = fft.transform_size(PLAIN, (n + e,), (e,))
            assert fft._tiling((n + e,), (e,), (1, 1, 1, n + e), (1, 1, 1, e)) <= stated


def test_float32_stays_float32():
    x, w = draw((1, 2, 9)).astype("float32"), draw((3, 2, 3)).astype("float32")
    y = fft.conv(x, w, PLAIN)
    results = (y, fft.input_grad(y, w, PLAIN, (9,)), fft.weight_grad(y, x, PLAIN, (3,)))
    assert {r.dtype.name for r in results} == {"float32"}


def test_integers_are_refused():
    reason = fft.refuses("conv1d", PLAIN, (9,), (3,), np.dtype("int64"))
    assert reason == "the transform needs floating-point numbers, not int64"
    assert not fft.refuses("conv1d", PLAIN, (9,), (3,), np.dtype("complex64"))
