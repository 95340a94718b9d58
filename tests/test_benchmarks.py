"""The tables for developers: every layer with all algorithms that have it, what is timed is judged, none by default."""

import tomllib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks import test_algorithms as tables
from refconv.judge import Violation
from refconv.workloads import LAYERS

ROOT = Path(__file__).parent.parent
LENET = "lenet-c3/conv2d/b1/float32"


class Once:
    """Stands in for pytest-benchmark: the call is made, and no clock is read."""

    group = ""

    def pedantic(self, call, **how):
        self.how = how
        return call()


def test_every_layer_is_compared():
    """In float32 with batch 1, and its gradient where there is one; several algorithms for each."""
    pairs = [pair.values for pair in tables._pairs()]
    for name, layer in LAYERS.items():
        ways = {way for call, way in pairs if call == f"{name}/{layer.operation}/b1/float32"}
        assert {"torch", "refconv"} <= ways and len(ways) >= 3, name
        assert (f"{name}/{layer.operation}_backward/b1/float32" in tables.CALLS) == (layer.group != "transposed")


@pytest.mark.parametrize("way", ["refconv", "refconv-fft", "torch"])
def test_a_right_result_is_timed(way):
    """In the group of its layer, eleven rounds after one that is not timed."""
    clock = Once()
    tables.test_layer(LENET, way, clock)
    assert clock.group == LENET and clock.how == {"rounds": 11, "warmup_rounds": 1}
    tables.test_layer(LENET.replace("conv2d", "conv2d_backward"), way, clock)


def test_a_wrong_result_is_no_benchmark(monkeypatch):
    """A method that is fast since it does nothing."""
    lazy = replace(tables.SUBJECTS["refconv"], functions={"conv2d": lambda x, w: np.zeros((1, 16, 10, 10), x.dtype)})
    monkeypatch.setitem(tables.SUBJECTS, "refconv", lazy)
    with pytest.raises(Violation, match="outside the allowed error"):
        tables.test_layer(LENET, "refconv", Once())


def test_no_benchmark_runs_with_the_tests():
    """They are collected only where they are named."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["pytest"]["ini_options"]
    assert not any(path.startswith("benchmarks") for path in settings["testpaths"])
