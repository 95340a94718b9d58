"""A layer with weights of its own is judged as a function: by its own geometry, with the weights of each call."""

import re
import subprocess
import sys

import numpy as np
import pytest
import torch

import refconv
from refconv import cli, layered, options, reproduce
from refconv.adapters import ADAPTERS
from refconv.isolation import Limits, isolated
from refconv.judge import Violation
from refconv.law import Record
from refconv.spec import OPERATIONS, Case
from refconv.subject import TargetError, load, merge

FILE = """
import torch

right = torch.nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=1, groups=2)
unbiased = torch.nn.Conv1d(2, 3, 3, bias=False, padding="same")
up = torch.nn.ConvTranspose2d(3, 2, 3, stride=2, output_padding=1)
pool = torch.nn.MaxPool2d(3, 2, 1)
reflected = torch.nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")
dense = torch.nn.Linear(3, 2)


class Flipped(torch.nn.Conv2d):
    def forward(self, x):
        weight = self.weight.flip(-1)
        return torch.nn.functional.conv2d(x, weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


flipped = Flipped(2, 3, 3, padding=1)
"""
PLAIN = """
import numpy as np
import refconv


class Mine:  # on NumPy arrays; what it does not say has its default
    def __init__(self, bias=True):
        self.weight, self.bias, self.padding = np.ones((3, 2, 2, 2)), np.zeros(3), 1
        self.keeps_bias = bias

    def __call__(self, x):
        return refconv.conv2d(x, self.weight, self.bias if self.keeps_bias else None, padding=self.padding)


mine, forgets = Mine(), Mine(bias=False)
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A folder with the layers, as the working directory; as few cases as a verdict can rest on."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(options.PROFILES, "quick", 12)
    (tmp_path / "layers.py").write_text(FILE)
    (tmp_path / "plain.py").write_text(PLAIN)
    return tmp_path


def subject(name):
    return load(name if ".py" in name else f"layers.py:{name}", ADAPTERS)


@pytest.mark.parametrize("target", ["layers.py:right", "plain.py:mine"])
def test_a_right_layer_is_correct(here, capfd, target):
    """S20: torch.nn.Conv2d in a process of its own, and a class on NumPy arrays."""
    assert cli.main(["check", target, "--operation", "conv2d", *["--in-process"] * target.endswith("mine")]) == 0
    assert capfd.readouterr().out.startswith("VERDICT: correct")


def test_a_wrong_layer_is_wrong_and_is_seen_to_be_so_again(here, capfd):
    """S20: a layer that flips its kernel, named as such; by `refconv replay` and by the script of at most 40 lines."""
    arguments = ["--operation", "conv2d", "--in-process", "--failures", "kept"]
    assert cli.main(["check", "layers.py:flipped", *arguments]) == 1
    out = capfd.readouterr().out
    assert out.startswith("VERDICT: wrong") and "flipped kernel" in out
    assert re.search(r"case +conv2d\(input: .*weight: float\d+\[3, 2, 3, 3\].*padding=1", out)
    (folder,) = (f for f in (here / "kept").iterdir() if "every_element" in f.name)
    assert outside(folder) > 0
    assert cli.main(["replay", str(folder), "--in-process"]) == 1
    capfd.readouterr()


def outside(folder):
    """How many elements the script finds outside."""
    script = folder / "reproduce.py"
    assert len(script.read_text().splitlines()) <= 40
    done = subprocess.run([sys.executable, "-Wignore", script], capture_output=True, text=True, cwd=folder)
    assert done.returncode == 0, done.stderr
    return max(map(int, re.findall(r"outside: (\d+) of", done.stdout)))


CALLS = {
    "layers.py:unbiased": ("conv1d", ((2, 2, 7), (3, 2, 3)), {"padding": "same"}),
    "layers.py:up": ("conv_transpose2d", ((2, 3, 4, 5), (3, 2, 3, 3), (2,)), {"stride": 2, "output_padding": 1}),
    "max_pool2d=layers.py:pool": ("max_pool2d", ((2, 3, 7, 6),), {"kernel_size": 3, "stride": 2, "padding": 1}),
    "plain.py:mine": ("conv2d", ((2, 2, 5, 6), (3, 2, 2, 2), (3,)), {"padding": 1}),
    "plain.py:forgets": ("conv2d", ((2, 2, 5, 6), (3, 2, 2, 2), (3,)), {"padding": 1}),
}


def whole_call(name, shapes, arguments):
    operation, random = OPERATIONS[name], np.random.default_rng(0)
    operands = {n: random.integers(1, 4, s).astype("f4") for n, s in zip(operation.operands, shapes, strict=False)}
    return Case(operation, operands, arguments, "float32")


@pytest.mark.parametrize("target", CALLS)
def test_a_layer_is_called_with_the_weights_of_the_case(here, target):
    """Whole numbers give refconv's result, bit for bit; but not from one that forgets its bias."""
    case = whole_call(*CALLS[target])
    expected = getattr(refconv, case.operation.name)(*case.operands.values(), **case.arguments)
    assert np.array_equal(subject(target).call(case).results["output"], expected) == (target != "plain.py:forgets")


@pytest.mark.parametrize("target", ["plain.py:forgets", "layers.py:unbiased"])
def test_the_script_loads_the_weights_too(here, target):
    """On NumPy arrays, where it shows the fault; and for gradients by differentiation, where there is none to show."""
    if target == "plain.py:forgets":
        case = whole_call(*CALLS[target])
    else:
        case = whole_call("conv1d_backward", ((2, 3, 7), (2, 2, 7), (3, 2, 3)), {"padding": "same"})
    record = Record("every_element_is_within_the_allowed_error", "oracle", "", target, case.operation.name, True)
    record.violation = Violation("as if", case)
    folder = reproduce.write(record, subject(target), here / "kept")
    assert (outside(folder) > 0) == (target == "plain.py:forgets")


def test_gradients_reach_the_weights_of_the_call(here):
    """Those of the call, not the layer's own, which stay as they were."""
    one = subject("right")
    module = sys.modules["refconv_subject_layers"].right
    before = module.weight.detach().clone()
    random = np.random.default_rng(0)
    x, w, b = (random.integers(-3, 4, s).astype("f4") for s in ((2, 4, 7, 6), (6, 2, 3, 2), (6,)))
    arguments = {"stride": (2, 1), "padding": 1, "groups": 2}
    y = refconv.conv2d(x, w, b, **arguments)
    case = Case(OPERATIONS["conv2d"], {"input": x, "weight": w, "bias": b}, arguments, "float32")
    assert np.array_equal(one.call(case).results["output"], y)
    without = Case(OPERATIONS["conv2d"], {"input": x, "weight": w}, arguments, "float32")
    assert np.array_equal(one.call(without).results["output"], refconv.conv2d(x, w, **arguments))
    back = Case(OPERATIONS["conv2d_backward"], {"grad_output": y, "input": x, "weight": w}, arguments, "float32")
    expected = refconv.conv2d_backward(y, x, w, **arguments)
    for got, want in zip(one.call(back).results.values(), expected, strict=True):
        assert np.array_equal(got, want)
    assert torch.equal(module.weight, before)


def test_other_calls_are_declined(here):
    """Another geometry, other channels, a bias where it has none: not the layer's calls."""
    layer = layered.as_function(torch.nn.Conv2d(2, 3, 3, bias=False))
    x, w = torch.ones(1, 2, 5, 5), torch.ones(3, 2, 3, 3)
    assert layer.function(x, w).shape == (1, 3, 3, 3)
    assert torch.equal(layer.function(x, w, torch.zeros(3)), layer.function(x, w))
    for call in (
        lambda: layer.function(x, w, stride=2),
        lambda: layer.function(x, w[:, :, :2]),
        lambda: layer.function(x, w, torch.ones(3)),
        lambda: layered.as_function(torch.nn.AvgPool2d(2), "avg_pool2d").function(x, 3),
    ):
        with pytest.raises(NotImplementedError, match=r"the layer (has|holds fast)"):
            call()
    pool = layered.as_function(torch.nn.MaxPool2d(2), "max_pool2d")
    assert torch.equal(pool.function(x, 2, 2), torch.ones(1, 2, 2, 2))


def test_what_a_layer_holds_fast():
    """Every argument of the operation, its own or the default, and the shape of its weights."""
    held = layered.as_function(torch.nn.Conv2d(4, 6, (3, 2), padding="valid", groups=2)).held
    assert held == {
        **{"stride": (1, 1), "padding": 0, "dilation": (1, 1), "groups": 2},
        **{"kernel_size": (3, 2), "in_channels": 4, "out_channels": 6},
    }
    held = layered.as_function(torch.nn.ConvTranspose1d(4, 6, 3, stride=2, groups=2)).held
    assert (held["in_channels"], held["out_channels"], held["output_padding"]) == (4, 6, (0,))


def test_the_other_process_says_what_is_held(here):
    """The same, through the worker."""
    (there,) = isolated(["layers.py:right"], Limits())
    assert there.held == subject("right").held
    assert there.array == "torch" and [op.name for op in there.operations] == ["conv2d", "conv2d_backward"]


@pytest.mark.parametrize(
    ("target", "arguments", "said"),
    [
        ("layers.py:reflected", [], "`padding_mode` of the layer is 'reflect', but must be 'zeros'"),
        ("layers.py:dense", [], "none of the operations by its weights: write OPERATION=TARGET"),
        ("layers.py:pool", [], "write OPERATION=TARGET"),
        ("conv3d=layers.py:right", [], "a `weight` of shape (6, 2, 3, 2), but conv3d must have one of 5 axes"),
        ("conv2d=layers.py:pool", [], "no `weight`, but conv2d must have one"),
        ("layers.py:right", ["--fix", "groups=1"], "--fix is given for groups, but layers.py:right has groups=2"),
    ],
)
def test_a_layer_that_cannot_be_judged_is_refused(here, capfd, target, arguments, said):
    """In one line, exit code 4."""
    assert cli.main(["check", target, "--in-process", *arguments]) == 4
    error = capfd.readouterr().err
    assert said in error and len(error.splitlines()) == 1


def test_what_a_layer_holds_may_be_said_again(here):
    """One number for all axes is the same as one for each; what it leaves open can be held fast besides."""
    option = {name.lstrip("-").replace("-", "_"): keywords.get("default") for (name, *_), keywords in options.OPTIONS}
    said = {**option, "in_process": True, "fix": ["padding=1", "stride=2,1", "batch=2"]}
    ((one, _),) = options.subjects(["layers.py:right"], said.get)
    assert one.scope.fix == {**one.held, "batch": 2}


def test_two_layers_are_two_subjects(here):
    """Laws between operations do not mix layers of different geometry."""
    with pytest.raises(TargetError, match="cannot be one subject"):
        merge([subject("right"), subject("unbiased")])
