"""Parts of a call are calls: what they give is bit for bit that part of the whole, wherever they are taken."""

import numpy as np
import pytest

from refconv import exact
from refconv.excerpt import BUDGET, excerpts
from refconv.spec import OPERATIONS, Case
from refconv.workloads import LAYERS, workloads

SMALL = {  # operation, shapes, arguments: every argument that moves what is read
    "strided": ("conv2d", {"input": (2, 4, 9, 8), "weight": (6, 2, 3, 2), "bias": (6,)}, {"stride": 2, "groups": 2}),
    "padded": ("conv2d", {"input": (2, 3, 7, 7), "weight": (4, 3, 3, 3)}, {"padding": ((2, 1), (0, 3)), "dilation": 2}),
    "depthwise": ("conv1d", {"input": (2, 6, 12), "weight": (12, 1, 3)}, {"groups": 6, "padding": 1}),
    "volume": ("conv3d", {"input": (1, 2, 4, 5, 6), "weight": (3, 2, 2, 3, 2)}, {"padding": 1, "stride": (1, 2, 3)}),
    "transposed": ("conv_transpose2d", {"input": (2, 4, 5, 5), "weight": (4, 3, 3, 3)}, {"stride": 2, "groups": 2}),
    "gradient": (
        "conv2d_backward",
        {"grad_output": (2, 6, 4, 4), "input": (2, 4, 9, 9), "weight": (6, 2, 3, 3)},
        {"stride": 2, "groups": 2},
    ),
    "max": ("max_pool2d", {"input": (2, 3, 7, 7)}, {"kernel_size": 3, "stride": 2, "padding": 1}),
    "average": (
        "avg_pool2d_backward",
        {"grad_output": (2, 3, 3, 3), "input": (2, 3, 7, 7)},
        {"kernel_size": 3, "stride": 2, "ceil_mode": False},
    ),
}


def _case(name):
    operation, shapes, arguments = SMALL[name]
    rng = np.random.default_rng(5)
    operands = {n: rng.integers(-9, 10, shape).astype("float64") for n, shape in shapes.items()}
    return Case(OPERATIONS[operation], operands, arguments, "float64")


@pytest.mark.parametrize("box", [True, False], ids=["box", "plane"])
@pytest.mark.parametrize("name", SMALL)
def test_a_part_is_that_part_of_the_whole(name, box, monkeypatch):
    """On integers, whose sums are exact; boxes of a few points, so that all borders are met."""
    monkeypatch.setattr("refconv.excerpt.BUDGET", 60)
    case, rng = _case(name), np.random.default_rng(1)
    whole = {name: value.high for name, value in exact.values(case).items()}
    for _ in range(30):
        reached = set()
        for part in excerpts(case, rng, box):
            alone = exact.values(part.case)
            for result, piece in part.of(whole).items():
                assert piece.size and np.array_equal(piece, alone[result].high)
                reached.add(result)
        assert reached == set(case.operation.results)


def test_every_element_is_reached():
    """Each output of a small call lies in some part."""
    case, rng = _case("strided"), np.random.default_rng(2)
    seen = np.zeros(case.shapes["output"], bool)
    for _ in range(200):
        for part in excerpts(case, rng):
            seen[part.places["output"]] = True
    assert seen.all()


@pytest.mark.parametrize("layer", ["vgg-64@224", "image-512-31x31", "replknet-31x31", "mobilenet-512@14"])
def test_a_box_stays_small(layer):
    """Whatever the layer: about a million products at most, and its operands are no more than they read."""
    workload = next(workloads([layer], (1,), ("float32",)))
    arrays = {n: np.broadcast_to(np.zeros((), "float32"), shape) for n, shape in workload.shapes.items()}
    case = Case(OPERATIONS[workload.operation], arrays, workload.arguments, "float32")
    (part,) = excerpts(case, np.random.default_rng(3))
    shape = part.case.shapes["output"]
    assert np.prod(shape) * np.prod(part.case.operands["weight"].shape[1:]) <= BUDGET
    assert layer in LAYERS and part.of({"output": np.zeros(workload.output)})["output"].shape == shape


def test_signals_have_no_channels():
    """They are refused rather than cut wrongly."""
    case = Case(OPERATIONS["convolve"], {"in1": np.ones(3), "in2": np.ones(2)}, {}, "float64")
    with pytest.raises(ValueError, match="`case` is one of convolve, but must be"):
        next(excerpts(case, np.random.default_rng(0)))
