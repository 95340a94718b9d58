"""What asv times is what it says: the calls agree with exact values, each class has its layers, scripts lie beside."""

import importlib
import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks import dashboard
from refconv import judge
from refconv.claims import Claims
from refconv.spec import OPERATIONS, Case
from refconv.workloads import LAYERS, workloads

ROOT = Path(__file__).parent.parent
INDEX = """<html><head>
<script src="https://code.jquery.com/jquery-3.3.1.min.js" integrity="sha256-x" crossorigin="anonymous"></script>
<script language="javascript" src="asv.js"></script>
<link rel="stylesheet" href="https://cdn.jsdelivr.net/npm/bootstrap@3.1.1/dist/css/bootstrap.min.css">
</head><a href="https://github.com/airspeed-velocity/asv/">asv</a></html>"""


@pytest.fixture(scope="module")
def history():
    """asv's folder as asv imports it: a package of its own name, with threads pinned by it."""
    environment = pytest.MonkeyPatch()
    environment.syspath_prepend(str(ROOT / "benchmarks"))
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        environment.setenv(name, "")
    modules = {name: importlib.import_module(f"history.{name}") for name in ("speed", "accuracy", "checking")}
    yield modules
    for name in [name for name in sys.modules if name.partition(".")[0] == "history"]:
        del sys.modules[name]
    environment.undo()


def _classes(history):
    found = [value for module in history.values() for value in vars(module).values() if isinstance(value, type)]
    return [one for one in found if hasattr(one, "params")]


def test_every_parameter_names_work_that_exists(history):
    """Layers of the table; and what is compared over time has a version that follows it."""
    classes = _classes(history)
    assert len(classes) == 11
    for one in classes:
        assert one.version
        params = [one.params] if isinstance(one.params[0], str) else one.params
        assert len(params) == len(one.param_names), one
        for name, values in zip(one.param_names, params, strict=True):
            assert name != "layer" or set(values) <= LAYERS.keys(), one


@pytest.mark.parametrize("layer", ["lenet-c3", "lenet-avg-2s2", "unet-2x2s2", "audio-max-4"])
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_both_sides_of_a_ratio_are_right(history, layer, backward):
    """Ours and PyTorch's call of one workload give the exact values, within what direct summation may err."""
    if backward and layer == "unet-2x2s2":
        layer = "lenet-c1"
    workload = history["speed"]._workload(layer, "float32", backward)
    operands = workload.operands(1)
    case = Case(OPERATIONS[workload.operation], operands, workload.arguments, "float32")
    for side in ("_reference", "_torch"):
        returned = getattr(history["speed"], side)(workload, list(operands.values()))()
        values = returned if isinstance(returned, (tuple, list)) else [returned]
        arrays = [np.asarray(v.detach() if hasattr(v, "detach") else v) for v in values]
        results = dict(zip(case.operation.results, arrays, strict=False))  # PyTorch is not asked for grad_bias
        assert results
        judge.form(results, case)
        judge.within(results, case, Claims())


def test_ratios_are_looked_up_where_they_were_put(history, monkeypatch):
    """Every figure that a class tracks is in the cache, under its own layer, direction and dtype."""
    speed = history["speed"]
    monkeypatch.setattr(speed, "_product", lambda dtype: dtype)
    ratios = {"torch": 1.5, "blas": 2.5}
    monkeypatch.setattr(speed._Measured, "_ratios", lambda self, workload, product: {"of": workload, **ratios})
    found = speed._Measured().setup_cache()
    for suite in (speed.Forward, speed.Transposed, speed.Gradient, speed.Pooling, speed.PoolingGradient):
        for layer in suite.params[0]:
            for dtype in suite.params[1]:
                assert suite().track_torch(found, layer, dtype) == 1.5
                workload = found[suite.backward, layer, dtype]["of"]
                assert (workload.layer, workload.dtype) == (layer, dtype)
                assert workload.operation.endswith("_backward") == suite.backward
    assert speed.Forward().track_blas(found, "vgg-256@56", "float32") == 2.5


def test_ratios_are_measured_side_by_side(history, monkeypatch):
    """In units of PyTorch's time, and of a matrix product's with as many flops."""
    speed = history["speed"]
    workload = next(workloads(["lenet-c3"], (1,), ("float32",)))
    flops = workload.multiply_adds / speed.PRODUCT**3
    times = {"ours": np.full(11, 3.0), "torch": np.full(11, 2.0), "product": np.ones(11)}
    monkeypatch.setattr(speed.timing, "interleaved", lambda calls: {name: times[name] for name in calls})
    assert speed._Measured()._ratios(workload, None) == {"torch": 1.5, "blas": 3 / flops}


def test_errors_are_measured_in_units_of_the_bound(history, monkeypatch):
    """A method within the bound stays below 1; a result that is off by much does not."""
    import refconv

    error = history["accuracy"].Error()
    monkeypatch.setattr(history["accuracy"], "SEEDS", range(2))
    assert 0 < error.track_worst("im2col", "float32") < 1
    monkeypatch.setattr(refconv, "conv2d", lambda x, w, **_: np.zeros((2, 8, 14, 14), x.dtype))
    assert error.track_worst("im2col", "float32") > 100


def test_the_configuration_names_what_is_there():
    """The folder of the benchmarks, and the constraints that CI installs by."""
    settings = json.loads((ROOT / "asv.conf.json").read_text())
    assert (ROOT / settings["benchmark_dir"] / "speed.py").is_file()
    assert all("constraints.txt" in command for command in settings["install_command"])
    pinned = (ROOT / "constraints.txt").read_text().split()
    assert any(line.startswith("asv==") for line in pinned)


def test_pages_name_no_other_host():
    """Scripts are swapped for files beside the page; links that are clicked stay."""
    page, named = dashboard.vendored(INDEX)
    assert named == ["jquery-3.3.1.min.js", "bootstrap.min.css"]
    assert page.count("https://") == 1 and 'src="asv.js"' in page and "integrity" not in page
    assert '<link rel="stylesheet" href="vendor/bootstrap.min.css">' in page
    assert dashboard.vendored(page) == (page, [])


@pytest.mark.parametrize(
    ("tag", "words"),
    [
        ('<script src="https://cdn.example/new.min.js"></script>', "names new.min.js: add its package"),
        ('<img src="https://cdn.example/a.png">', "still loads from another host"),
    ],
)
def test_what_a_newer_asv_loads_is_not_overlooked(tag, words):
    """An unknown script, or anything else from another host, is an error."""
    with pytest.raises(ValueError, match=words):
        dashboard.vendored(INDEX + tag)


def test_a_package_that_is_another_is_refused(monkeypatch, tmp_path):
    """Its checksum is the one that is known, or it is not unpacked."""
    monkeypatch.setattr(dashboard, "FETCHED", tmp_path)
    (tmp_path / "jquery-3.3.1.tgz").write_bytes(b"something else")
    with pytest.raises(ValueError, match="but must have U"):
        dashboard.archive("jquery-3.3.1", "U")


def test_requests_of_pages_are_told_from_the_browsers_own():
    """By the origin that Chromium logs."""
    event = {"type": 2, "params": {"url": "https://cdn.example/x.js", "initiator": "http://127.0.0.1:1"}}
    own = {"type": 2, "params": {"url": "https://update.example/", "initiator": "not an origin"}}
    log = {"constants": {"logEventTypes": {"URL_REQUEST_START_JOB": 2}}, "events": [event, own, {"type": 3}]}
    assert dashboard._hosts(log) == {"cdn.example"}
