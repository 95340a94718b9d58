"""The table of layers: every row is a legal call, of the shapes that PyTorch gives it."""

import subprocess
import sys
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from refconv.spec import OPERATIONS, Case
from refconv.workloads import BATCHES, DTYPES, GROUPS, LAYERS, choose, version, workloads

ROOT = Path(__file__).parent.parent
FORWARD = [next(workloads([name])) for name in LAYERS]


def _case(workload):
    """The call with operands that take no memory."""
    arrays = {n: np.broadcast_to(np.zeros((), workload.dtype), shape) for n, shape in workload.shapes.items()}
    return Case(OPERATIONS[workload.operation], arrays, workload.arguments, workload.dtype)


@pytest.mark.parametrize("workload", FORWARD, ids=lambda w: w.layer)
def test_every_workload_is_a_legal_call(workload):
    """The table's output, that of `spec`, and that of PyTorch on tensors without data are one."""
    tensors = [torch.empty(shape, device="meta") for shape in workload.shapes.values()]
    function = getattr(torch.nn.functional, workload.operation)
    assert workload.output == _case(workload).shapes["output"]
    assert workload.output == tuple(function(*tensors, **workload.arguments).shape)


@pytest.mark.parametrize("workload", FORWARD, ids=lambda w: w.layer)
def test_every_gradient_is_a_legal_call(workload):
    """Operands in the operation's order, results shaped as what they are gradients of."""
    if workload.group == "transposed":
        with pytest.raises(ValueError, match="has no operation for its gradients"):
            workload.backward()
        return
    backward = workload.backward()
    case = _case(backward)
    assert tuple(backward.shapes) == case.operation.operands[: len(backward.shapes)]
    assert case.shapes["grad_input"] == workload.shapes["input"]
    assert backward.output == workload.output
    assert backward.multiply_adds == 2 * workload.multiply_adds


def test_the_table_has_what_is_asked_of_it():
    """The documents' networks and the shapes that are hard, each in both batch sizes and dtypes."""
    text = " ".join(LAYERS)
    for network in ("lenet", "alexnet", "vgg", "resnet", "nin", "googlenet", "mobilenet", "resnext", "replknet"):
        assert f"{network}-" in text
    assert {"dense", "depthwise", "dilated", "grouped", "large", "1-d", "3-d", "max-pool", "avg-pool"} <= set(GROUPS)
    names = [w.name for w in workloads()]
    assert len(names) == len(set(names)) == len(LAYERS) * len(BATCHES) * len(DTYPES)


def test_multiply_adds_are_counted_as_the_sum_over_taps():
    """Against the number of products in a call small enough to count."""
    lenet = next(workloads(["lenet-c3"]))
    assert lenet.multiply_adds == 10 * 10 * 16 * 6 * 25
    transposed = next(workloads(["dcgan-4x4s2"]))
    assert transposed.multiply_adds == 8 * 8 * 256 * 128 * 16
    assert next(workloads(["resnet-avg-7"])).multiply_adds == 0


def test_operands_are_new_with_each_seed():
    """Of the dtype and shapes, the same from the same seed, and of both signs."""
    workload = next(workloads(["lenet-c1"], dtypes=("float32",)))
    first, again, other = (workload.operands(seed) for seed in (1, 1, 2))
    assert {a.dtype.name for a in first.values()} == {"float32"}
    for name, array in first.items():
        assert array.shape == workload.shapes[name] and array.min() < -0.4 and array.max() > 0.4
        assert np.array_equal(array, again[name]) and not np.array_equal(array, other[name])


def test_an_unknown_layer_is_refused():
    """With the names that there are."""
    assert len(choose(())) == len(LAYERS)
    with pytest.raises(ValueError, match=r"layer 'vvg' is unknown: choose a group \(dense, "):
        choose(("vvg",))


def test_the_version_follows_the_work():
    """One other size is other work."""
    assert version() != version(list(islice(LAYERS, 3)))


def test_the_table_needs_numpy_alone():
    """So that asv can read it by its path beside any commit of the package."""
    program = (
        "import runpy, sys; runpy.run_path(sys.argv[1], run_name='workloads'); "
        "print([name for name in sys.modules if name.split('.')[0] in ('refconv', 'torch', 'scipy')])"
    )
    command = [sys.executable, "-S", "-c", program, str(ROOT / "refconv" / "workloads.py")]
    path = {"PYTHONPATH": str(Path(np.__file__).parent.parent)}
    done = subprocess.run(command, capture_output=True, text=True, env=path)
    assert done.stdout == "[]\n", done.stdout + done.stderr
