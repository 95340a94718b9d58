"""The table's figures are those of right results, and its means are of what they say."""

import json
import time
from collections import Counter

import numpy as np
import pytest

from benchmarks import others, table, where
from refconv.workloads import LAYERS, workloads


def _workload(layer, dtype="float32"):
    return next(workloads([layer], (1,), (dtype,)))


def test_every_workload_is_measured():
    """Forward with both batch sizes and dtypes but for what takes minutes; gradients where they are kernels' work."""
    found = list(table.plan())
    forward = Counter(w.layer for w, part in found if part == "forward")
    assert forward.keys() == LAYERS.keys()
    assert {name for name, count in forward.items() if count < 4} == {
        *(row.name for row in LAYERS.values() if row.group == "large"),
        *("vgg-64@224", "vgg-128@112", "vgg-256@56", "vgg-512@28"),
    }
    assert {w.group for w, part in found if part == "weight"} == set(table.GRADIENTS)
    assert {w.group for w, part in found if part == "backward"} == {"max-pool", "avg-pool"}
    assert [part for w, part in table.plan(("vgg-256@56",)) if w.dtype == "float64"] == ["forward"]
    assert [part for w, part in table.plan(("lenet-c1",)) if w.dtype == "float64"] == [
        *("forward", "weight", "input"),
        "forward",
    ]


@pytest.mark.parametrize("layer", ["lenet-c3", "lenet-c1", "dcgan-4x4s2", "audio-max-4", "lenet-avg-2s2"])
@pytest.mark.parametrize("name", ["torch", "scipy.signal"])
def test_others_compute_the_workload(layer, name):
    """Or say that they cannot; judged as what they are when they are measured."""
    workload = _workload(layer, "float64")
    operands = workload.operands(3)
    if name == "scipy.signal" and layer != "lenet-c1":
        with pytest.raises(NotImplementedError):
            others.OTHERS[name](workload, operands)
        return
    found, claims = np.asarray(others.OTHERS[name](workload, operands)()), table.CLAIMS.get(name, table.Claims())
    table._verify(workload, "forward", operands, found, claims)
    with pytest.raises(table.Violation, match="outside the allowed error"):
        table._verify(workload, "forward", operands, found + 1, claims)


@pytest.mark.parametrize(("layer", "part"), [(n, p) for n, p in [("lenet-c3", "forward"), ("lenet-c3", "weight")]])
def test_a_workload_is_measured(layer, part):
    """Ours and PyTorch, as many rounds as asked for, with the method that was the fastest."""
    row = table.measure(_workload(layer), part, rounds=6)
    assert len(row["seconds"]["refconv"]) == len(row["seconds"]["torch"]) == 6 and not row["reasons"].get("torch")
    assert row["method"] in ("", *table.ALGORITHMS) and bool(row["method"]) == (part == "weight")
    assert table.speed(row, "torch") > 0 and json.dumps(row)
    assert bool(row["lines"]) == (table.speed(row, "torch") < 1)


@pytest.mark.parametrize("part", ["input", "weight", "backward"])
def test_gradients_of_pytorch_are_that_part_alone(part):
    """Shaped as what they are gradients of, and right."""
    workload = _workload("lenet-avg-2s2" if part == "backward" else "lenet-c3").backward()
    operands = workload.operands(2)
    found = np.asarray(table._torch_gradient(workload, part, operands)())
    table._verify(workload, part, operands, found, table.Claims())
    with pytest.raises(table.Violation):
        table._verify(workload, part, operands, found + 1, table.Claims())


def test_a_wrong_result_has_no_time(monkeypatch):
    """Neither another's, which is left out with the reason, nor ours, which ends the measurement."""
    monkeypatch.setitem(others.OTHERS, "torch", lambda w, o: lambda: np.zeros(w.output, w.dtype))
    row = table.measure(_workload("lenet-c3"), "forward", rounds=6)
    assert "torch" not in row["seconds"] and row["reasons"]["torch"].startswith("Violation: `output` is outside")
    monkeypatch.setattr(table, "_ours", lambda *_: [("", lambda: np.zeros((1, 16, 10, 10), np.float32))])
    with pytest.raises(table.Violation):
        table.measure(_workload("lenet-c3"), "forward", rounds=6)


def test_what_takes_long_is_called_once(monkeypatch):
    """And interrupted where it takes very long."""
    monkeypatch.setattr(table, "PATIENCE", 0.05)
    monkeypatch.setitem(others.OTHERS, "scipy.signal", lambda w, o: lambda: time.sleep(60))
    row = table.measure(_workload("lenet-c3"), "forward", rounds=6)
    assert len(row["seconds"]["scipy.signal"]) == 1 and table.speed(row, "scipy.signal") > 1


def _row(layer, part="forward", dtype="float32", threads=1, batch=1, **seconds):
    times = {name.replace("_", "."): [value] * 11 for name, value in seconds.items()}
    about = {"layer": layer, "group": LAYERS[layer].group, "part": part, "batch": batch, "dtype": dtype}
    about |= {"method": "", "reasons": {"onnx": "has no groups"}, "lines": []}
    return {**about, "threads": threads, "revision": "abc" * threads, "seconds": times}


def test_means_are_of_what_they_say():
    """Geometric, by part, dtype, group and threads; workloads that were not measured do not count."""
    rows = [
        _row("lenet-c1", refconv=1.0, torch=0.5),
        _row("lenet-c3", refconv=1.0, torch=8.0, jax_lax=3.0),
        _row("lenet-c3", refconv=1.0, torch=3.0, threads=2),
        _row("lenet-c3", dtype="float64", refconv=1.0, torch=1.5),
        _row("replknet-31x31", refconv=1.0, torch=40.0),
        _row("resnet-max-3s2", refconv=1.0, torch=5.0),
        _row("lenet-c1", part="weight", refconv=1.0, torch=1.3),
    ]
    rows[0]["lines"] = [(0.625, "im2col.conv", "np.matmul(a | b)")]
    text = table.page(rows, "A machine.")
    assert r"| lenet-c1 | 1 | forward | float32 | 1 | 0.50 | 62% im2col.conv: `np.matmul(a \| b)` |" in text
    assert "| float32 forward, dense layers | 1.25 | 2.00 | 3.00 | 2 |" in text
    assert "| float32 forward, all but large kernels | 1.1 | 2.00 | 3.00 | 2 |" in text
    assert "| float64 forward, all but large kernels | 1.45 | 1.50 | - | 1 |" in text
    assert "| weight gradient | 1.3 | 1.30 | - | 1 |" in text
    assert "| large kernels, forward | 10.0 | 40.00 | - | 1 |" in text
    assert "| max pooling, forward | 4.0 | 5.00 | - | 1 |" in text and "input gradient" not in text
    assert "Dense workloads, forward, below 0.75 with 1 thread: 1 of 3." in text
    assert "Dense workloads, forward, below 0.75 with 2 threads: 0 of 1." in text
    assert "| jax.lax | 1 | 3.00 | 3.00 lenet-c3 float32 |" in text
    assert "| lenet-c3 | 1 | forward | float32 | 1 | 1000.000 | 8.00 | 3.00 |" in text
    assert "- onnx: has no groups" in text and "Revision abc, abcabc; A machine." in text


def _sleeping(seconds):
    time.sleep(seconds)


def test_the_lines_that_take_the_time_are_found(monkeypatch):
    """With what they call elsewhere; what one of ours calls in another counts there."""
    monkeypatch.setattr(where, "PACKAGE", __file__)

    def call():
        _sleeping(0.02)
        time.sleep(0.005)

    first, second = where.lines(call, rounds=2)[:2]
    assert (first.place, first.text) == ("test_table._sleeping", "time.sleep(seconds)") and first.share > 0.5
    assert second.text == "time.sleep(0.005)" and 0.05 < second.share < 0.5


def test_the_machine_is_described():
    """With the versions of all that is compared."""
    said = table.machine()
    assert "numpy" in said and "torch" in said and "processors" in said
