"""Learning: kernels from data, digits by our own backward pass, and the same curve as PyTorch's."""

import json
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pytest
import torch

from refconv import network
from refconv.network import NETWORKS, SGD
from refconv.network.error import gradient_errors
from refconv.network.layers import Layer, Pass
from refconv.network.train import digits, main
from tests import torch_twin

U = 2.0**-53

# ------------------------------------------------------------------------------------------- a kernel from data

STRIPES = np.repeat([[1.0, 1, 0, 0, 0, 0, 1, 1]], 6, axis=0)[None, None]
EDGES = np.repeat([[0.0, 1, 0, 0, 0, -1, 0]], 6, axis=0)[None, None]


@dataclass(frozen=True)
class Convolution(network.Conv2d):
    """A layer with true convolution: it reads its kernel backwards on every axis."""

    def forward(self, x, values, training=False, method="auto"):
        flipped = {**values, "weight": np.flip(values["weight"], (2, 3))}
        y, back, _ = super().forward(x, flipped, training, method)

        def backward(grad_output):
            grad_input, own = back(grad_output)
            return grad_input, {**own, "weight": np.flip(own["weight"], (2, 3))}

        return Pass(y, backward, {})


def learnt(layer: Layer, kernel, steps):
    """Descent on the sum of squared errors at rate 1/32, which is exact in float64: each step adds three bits."""
    values, velocity = {"weight": np.array(kernel).reshape(1, 1, 1, 2)}, {}
    for _ in range(steps):
        y, back, _ = layer.forward(STRIPES, values)
        values, velocity = SGD(lr=1 / 32).step(values, back(2 * (y - EDGES))[1], velocity)
    return values["weight"].ravel()


def test_a_layer_learns_the_edge_kernel():
    """LEARN (S17): twelve steps from [2, 1] come to [1, -1] rounded, bit for bit where rational arithmetic comes to."""
    distance = [Fraction(1), Fraction(2)]
    for _ in range(12):
        distance = [d - (18 * d + 12 * e) / Fraction(16) for d, e in zip(distance, reversed(distance), strict=True)]
    expected = [1 + float(distance[0]), -1 + float(distance[1])]
    found = learnt(network.Conv2d(1, (1, 2), bias=False), [2.0, 1.0], 12)
    assert found.tolist() == expected and np.rint(found).tolist() == [1, -1]


def test_a_layer_with_true_convolution_learns_the_flipped_kernel():
    """S17: from the flipped start, the same steps to the flipped kernel, and the same outputs."""
    plain, flipped = network.Conv2d(1, (1, 2), bias=False), Convolution(1, (1, 2), bias=False)
    for steps in (1, 5, 12):
        kernel = learnt(flipped, [1.0, 2.0], steps)
        assert np.array_equal(kernel, learnt(plain, [2.0, 1.0], steps)[::-1])
    assert np.rint(kernel).tolist() == [-1, 1]


# ------------------------------------------------------------------------------------------------------- digits


def test_the_digits():
    """Larger by three, framed by two, from 0 to 1; no image is on both sides."""
    data = digits("float64")
    assert data.images[0, 0].max() == 1 and not data.images[:, :, :2].any()
    assert np.array_equal(data.images[:, :, 2:26:3, 2:26:3], data.images[:, :, 4:26:3, 4:26:3])
    assert len(data.images) + len(data.test_images) == 1797
    assert np.array_equal(digits().labels, data.labels)


def test_the_command_trains_and_says_whether_the_target_is_met(tmp_path, capsys):
    """S17, S18: in two epochs most digits are read; exit code 0 above the target, 1 below, figures as JSON."""
    file = tmp_path / "run.json"
    assert main(["--epochs", "2", "--target", "0.8", "--json", str(file)]) == 0
    said = capsys.readouterr().out
    assert "epoch  2" in said and said.splitlines()[-1].startswith("target met")
    about = json.loads(file.read_text())
    assert about["met"] and len(about["epochs"]) == 2 and about["epochs"][1]["accuracy"] > 0.8
    assert about["epochs"][1]["loss"] < about["epochs"][0]["loss"]
    assert [p.name for p in tmp_path.iterdir()] == ["run.json"]
    assert main(["--epochs", "1", "--target", "0.999"]) == 1
    assert capsys.readouterr().out.splitlines()[-1].startswith("TARGET MISSED")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--epochs", "0"], "--epochs is 0, but must be at least 1"),
        (["--lr", "x"], "invalid float value"),
        (["--method", "magic"], "--method is 'magic', but must be one of auto, direct"),
        (["--json", "nowhere/run.json"], "its folder does not exist"),
    ],
)
def test_wrong_usage_is_said(arguments, said, capsys):
    """In one line, exit code 4."""
    assert main(arguments) == 4
    error = capsys.readouterr().err
    assert said in error and len(error.splitlines()) == 1


def test_without_scikit_learn_the_command_says_what_to_install(monkeypatch, capsys):
    """Rather than a traceback."""
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    assert main([]) == 4
    assert "pip install 'refconv[learn]'" in capsys.readouterr().err


# ------------------------------------------------------------------------------------- the curve of PyTorch

STEPS, BATCH, RATE, MOMENTUM = 100, 8, 0.05, 0.9


class Run:
    """Training from one start, one step at a time, with whatever gives loss and gradients."""

    def __init__(self, values, gradients):
        self.values, self.velocity, self.gradients, self.losses = dict(values), {}, gradients, []

    def step(self, x, labels):
        loss, own = self.gradients(x, labels, self.values)
        self.losses.append(float(loss))
        self.values, self.velocity = SGD(RATE, MOMENTUM).step(self.values, own, self.velocity)
        return own


def ours(x, labels, values):
    found = network.gradients(NETWORKS["lenet5"].body, x, labels, values)
    return found.loss, found.parameters


def pytorchs(x, labels, values):
    loss, _, _, own = torch_twin.gradients(NETWORKS["lenet5"].body, x, labels, values)
    return loss, own


class PyTorch:
    """The same network, the same start, PyTorch's gradients and PyTorch's optimizer."""

    def __init__(self, values):
        self.tensors = {name: torch.tensor(a, requires_grad=True) for name, a in values.items()}
        self.optimizer = torch.optim.SGD(list(self.tensors.values()), lr=RATE, momentum=MOMENTUM)
        self.losses = []

    def step(self, x, labels, change=lambda tensors: None):
        self.optimizer.zero_grad()
        output = torch_twin.run(NETWORKS["lenet5"].body, torch.tensor(x), self.tensors, True)
        loss = torch.nn.functional.cross_entropy(output, torch.tensor(labels))
        loss.backward()
        change(self.tensors)
        self.optimizer.step()
        self.losses.append(loss.item())


def norm(arrays):
    return np.sqrt(sum((a**2).sum() for a in arrays.values()))


def apart(first, second):
    return norm({name: first[name] - second[name] for name in first})


@pytest.fixture(scope="module")
def curve():
    """A start, batches, our losses on them, and the room that rounding has in each of them.

    What one step puts between two trainings: the difference of their gradients at the very same weights (measured at
    every step, and at every tenth shown to lie within the proven bound), and 4 u of weights and velocity for the
    update, which count as 4 u (|weights| / rate + |velocity|) of gradient. What a step's difference e becomes in the
    losses after it is linear in it as long as it is small: w(t) . e. |w| is estimated from trainings that are displaced
    in a random direction by 1e-5, at steps 0, 33 and 66: among n weights such a direction shows |w| / sqrt(n) on
    average, and four times the largest that was shown until then is taken. The sum over all steps is the room.
    """
    net, data = NETWORKS["lenet5"], digits("float64")
    values, random = net.initial(1), np.random.default_rng(2)
    order = random.permutation(len(data.images))[: STEPS * BATCH].reshape(STEPS, BATCH)
    batches = [(data.images[part], data.labels[part]) for part in order]
    size, mine, displaced, between = 1e-5, Run(values, ours), {}, []
    for t, (x, labels) in enumerate(batches):
        if t in (0, 33, 66):
            displaced[t] = Run(mine.values, pytorchs)
            direction = {name: random.standard_normal(a.shape) for name, a in values.items()}
            start = mine.velocity or {name: np.zeros_like(a) for name, a in values.items()}
            displaced[t].velocity = {n: a + size / norm(direction) * direction[n] for n, a in start.items()}
        here = mine.values
        own, other = mine.step(x, labels), pytorchs(x, labels, here)[1]
        if t % 10 == 0:
            proven = gradient_errors(net.body, x, labels, here).parameters
            assert all(np.linalg.norm(own[n] - other[n]) <= 2 * proven[n].error for n in own)
        between.append(apart(own, other) + 4 * U * (norm(here) / RATE + norm(mine.velocity)))
        for run in displaced.values():
            run.step(x, labels)
    shown = np.zeros(STEPS)
    for start, run in displaced.items():
        grown = np.abs(np.subtract(run.losses, mine.losses[start:])) / size
        shown[start:] = np.maximum(shown[start:], np.maximum.accumulate(grown))
    room = np.cumsum([0, *between[:-1]]) * shown * 4 * np.sqrt(net.parameter_count)
    own_errors = 2 * gradient_errors(net.body, *batches[0], values).loss.error
    return values, batches, mine.losses, room + own_errors


def test_the_first_hundred_losses_are_pytorchs(curve):
    """S17, S18: LeNet in float64 from the same weights on the same batches: the curves differ by rounding alone."""
    values, batches, losses, room = curve
    theirs = PyTorch(values)
    for x, labels in batches:
        theirs.step(x, labels)
    assert np.all(np.abs(np.subtract(losses, theirs.losses)) <= room)
    assert room.max() < 1e-7 and np.mean(losses[-10:]) < losses[0] / 2


def test_the_comparison_of_curves_rejects(curve):
    """One bias whose gradient is off by a hundred thousandth leads out of the room that rounding has."""
    values, batches, losses, room = curve
    theirs = PyTorch(values)
    for x, labels in batches:
        theirs.step(x, labels, lambda tensors: tensors["0.bias"].grad.mul_(1 + 1e-5))
    assert np.any(np.abs(np.subtract(losses, theirs.losses)) > room)
