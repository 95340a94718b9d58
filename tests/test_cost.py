"""The cost model: counts that can be checked by hand, choices that follow the prices, and a cache that never harms."""

import json

import numpy as np
import pytest

import refconv
from refconv import convolution, cost
from refconv.cost import Work
from refconv.spec import conv_spec

FLOAT = np.dtype("float32")
SAME = conv_spec(2, (3, 3), padding=1)
VGG = (1, 256, 56, 56), (256, 256, 3, 3)
TYPICAL = Work(products=2e-11, moved=1.5e-10, transformed=5e-10, butterflies=1.5e-10, calls=1e-6)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache, wherever this platform keeps it, and prices that need no measuring."""
    monkeypatch.setattr(cost, "_cache_folder", lambda: tmp_path / "refconv")
    measured = []
    monkeypatch.setattr(cost, "_measured", lambda dtype: measured.append(dtype.name) or TYPICAL)
    cost.rates.cache_clear()
    yield tmp_path / "refconv", measured
    cost.rates.cache_clear()


def test_products_are_those_of_the_definition_or_fewer():
    (n, c, h, w), (o, _, k, _) = VGG
    assert cost.work("direct", "conv2d", SAME, *VGG).products == n * c * h * w * o * k * k
    assert cost.work("im2col", "conv2d", SAME, *VGG).products == n * c * h * w * o * k * k
    tiles = 36 * n * (h // 4) * (w // 4)
    assert cost.work("winograd", "conv2d", SAME, *VGG).products == cost.SMALL * tiles * c * o
    pointwise = cost.work("im2col", "conv2d", conv_spec(2, (1, 1)), (2, 8, 5, 5), (4, 8, 1, 1))
    assert pointwise == Work(2 * 25 * 8 * 4, calls=4)


@pytest.mark.parametrize("name", ["conv2d", "conv_transpose2d", "conv2d_backward"])
def test_every_algorithm_has_a_price_for_everything_it_can_do(name):
    for method in cost._FORWARD:
        for shapes in (VGG, ((1, 1, 1, 1), (1, 1, 1, 1)), ((2, 4, 9, 7), (4, 4, 3, 3))):
            spec = conv_spec(2, shapes[1][2:], padding=1)
            assert 0 < cost.seconds(cost.work(method, name, spec, *shapes), TYPICAL) < 60


def test_the_choice_follows_the_shape_and_the_prices(monkeypatch):
    def choice(name, x, w, prices=TYPICAL, dtype=FLOAT, **arguments):
        monkeypatch.setattr(cost, "rates", lambda dtype: prices)
        return cost.fastest(name, conv_spec(2, w[2:], **arguments), (x, w), dtype)

    for name in ("conv2d", "conv_transpose2d", "conv2d_backward"):
        assert choice(name, *VGG, padding=1) == "winograd"
        assert choice(name, *VGG, padding=1, stride=2) in ("direct", "im2col")
        assert choice(name, (1, 1, 512, 512), (1, 1, 31, 31)) == "fft"
    assert choice("conv2d", (1, 128, 28, 28), (128, 1, 31, 31), padding=15, groups=128) == "fft"
    assert choice("conv2d", (1, 32, 112, 112), (32, 1, 3, 3), padding=1, groups=32) == "im2col"
    assert choice("conv2d", *VGG, padding=1, dtype=np.dtype("int64")) == "direct"
    assert choice("conv2d", (0, 4, 9, 9), (4, 4, 3, 3)) == "im2col"
    # Where products cost nothing beside copies, transforms that move much to save products do not pay.
    assert choice("conv2d", *VGG, padding=1, prices=TYPICAL._replace(products=1e-15)) != "winograd"


def test_fastest_gives_what_the_chosen_algorithm_gives(monkeypatch):
    x, w = np.ones((1, 8, 20, 20), "float32"), np.ones((8, 8, 3, 3), "float32")
    for method in cost._FORWARD:
        monkeypatch.setattr(convolution, "fastest", lambda *about, method=method: method)
        assert np.array_equal(refconv.conv2d(x, w, method="fastest"), refconv.conv2d(x, w, method=method))


def test_auto_does_not_ask_for_prices(monkeypatch):
    """What nobody asked to vary does not depend on the machine: `auto` is a rule of shapes alone."""
    monkeypatch.setattr(cost, "rates", None)
    refconv.conv2d(np.ones((1, 1, 4, 4)), np.ones((1, 1, 2, 2)))


def test_prices_are_measured_once_and_kept(folder):
    path, measured = folder
    assert cost.rates("float32") == cost.rates("float32") == TYPICAL
    cost.rates.cache_clear()  # another process
    assert cost.rates("float32") == TYPICAL
    assert measured == ["float32"]
    (file,) = path.iterdir()
    assert json.loads(file.read_text()) == list(TYPICAL)


@pytest.mark.parametrize(
    "text", ["", "nonsense", "[1, 2]", "{}", "null", "[0, 0, 0, 0]", '["a", 1, 1, 1]', "[1e999, 1, 1, 1]"]
)
def test_a_damaged_file_is_measured_again(folder, text):
    path, measured = folder
    cost.rates("float32")
    (file,) = path.iterdir()
    file.write_text(text)
    cost.rates.cache_clear()
    assert cost.rates("float32") == TYPICAL
    assert measured == ["float32"] * 2
    assert json.loads(file.read_text()) == list(TYPICAL)


def test_a_folder_that_cannot_be_written_is_no_error(folder):
    path, measured = folder
    path.write_text("a file stands where the folder should be")
    assert cost.rates("float64") == TYPICAL
    assert measured == ["float64"]


def test_a_file_that_cannot_be_replaced_leaves_nothing_behind(folder):
    path, _ = folder
    (path / f"prices-float32-{cost._machine()}.json").mkdir(parents=True)
    assert cost.rates("float32") == TYPICAL
    assert len(list(path.iterdir())) == 1


def test_the_folder_is_the_platforms(monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    monkeypatch.setenv("LOCALAPPDATA", "/elsewhere")
    for platform, expected in (("linux", "/somewhere"), ("win32", "/elsewhere"), ("darwin", "Library")):
        monkeypatch.setattr(cost.sys, "platform", platform)
        assert expected.strip("/") in cost._cache_folder().parts
        assert cost._cache_folder().name == "refconv"


def test_what_is_measured_is_a_price():
    assert all(0 < price < 1e-3 for price in cost._measured(FLOAT))
