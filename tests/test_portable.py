"""The portable references: one code on four array libraries, differentiable, on the device and in the format given."""

from __future__ import annotations

import ast
import importlib.util
import sys
from pathlib import Path

import array_api_strict
import jax
import numpy as np
import pytest
import torch

import refconv
from refconv import portable
from refconv.adapters.portable import WAYS, subject
from refconv.law import Effort, Judged
from refconv.namespaces import namespace
from refconv.portable import im2col, pooling
from refconv.spec import OPERATIONS

ROOT = Path(__file__).parent.parent
LIBRARIES = ("numpy", "torch", "jax", "strict")
CONVS = ("direct", "fft", "im2col", "winograd")


def laws(chapter):
    spec = importlib.util.spec_from_file_location(f"portable_{chapter}", ROOT / "properties" / f"test_{chapter}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return vars(module)


ORACLE = laws("oracle")["test_every_element_is_within_the_allowed_error"]
NAN = [law for law in laws("special").values() if hasattr(law, "kind")]


@pytest.fixture(autouse=True)
def doubles():
    """JAX with double precision, as its adapter asks for it, for these tests alone."""
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def asked(law, library, way, name, examples):
    judged = Judged(subject(library, way), OPERATIONS[name], Effort(examples, seed=1, shrinks=False))
    return law.run(judged)


@pytest.mark.parametrize("name", OPERATIONS)
@pytest.mark.parametrize("library", ["numpy", "torch", "strict"])
def test_every_operation_is_right_on_every_library(library, name):
    """Against exact values, by the method that `auto` picks, none declined; and NaN goes where it belongs."""
    record = asked(ORACLE, library, "auto", name, 1)
    assert (record.status, record.cases, record.declined) == ("verified", 3, 0), record.violation
    for law in NAN:
        if law.kind == OPERATIONS[name].kind:
            assert asked(law, library, "auto", name, 4).status == "verified"


@pytest.mark.parametrize("way", CONVS)
@pytest.mark.parametrize("library", ["numpy", "torch", "strict"])
def test_every_algorithm_is_right_on_every_library(library, way):
    """Each under the class of error that the registry states for it."""
    for name in ("conv1d", "conv_transpose2d", "conv2d_backward", "conv3d", *(["convolve"] if way == "fft" else [])):
        record = asked(ORACLE, library, way, name, 2)
        assert record.status == "verified", (name, record.violation, record.reasons)


@pytest.mark.parametrize(
    ("way", "name"),
    [
        ("direct", "conv_transpose1d"),
        ("fft", "convolve"),
        ("fft", "conv2d_backward"),
        ("im2col", "conv2d_backward"),
        ("auto", "max_pool2d_backward"),
        ("auto", "avg_pool2d"),
    ],
)
def test_compiled_code_is_right(way, name):
    """The same by `jax.jit`: shapes alone decide what is done. Each case is compiled, so there are few."""
    record = asked(ORACLE, "jax", way, name, 1)
    assert (record.status, record.declined) == ("verified", 0), record.violation


def test_compiled_winograd_is_right():
    """On one case that it can do: most of those drawn it declines."""
    x, w = draw(1, 2, 6, 7), draw(2, 2, 3, 3)
    found = subject("jax", "winograd").functions["conv2d"](x, w, padding=1)
    assert np.array_equal(np.rint(found), refconv.conv2d(x, w, padding=1))


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize(("name", "module"), [("conv2d", im2col), ("max_pool2d", pooling)], ids=["conv", "pool"])
def test_a_fault_in_the_code_is_found_on_every_library(library, name, module, monkeypatch):
    """The first tap lost, the last one read twice."""
    right = module.taps
    monkeypatch.setattr(module, "taps", lambda *arguments: [*right(*arguments), right(*arguments)[-1]][1:])
    assert asked(ORACLE, library, "auto", name, 3).status == "violated"


def draw(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).integers(-8, 9, shape).astype("float64")


DIFFERENTIATED = {
    "conv2d": ([(2, 4, 4, 4), (2, 2, 2, 3), (2,)], {"stride": (2, 1), "padding": 1, "dilation": (1, 2), "groups": 2}),
    "conv_transpose2d": ([(2, 4, 3, 2), (4, 1, 2, 3), (2,)], {"stride": (2, 1), "padding": (1, 0), "groups": 2}),
    "max_pool2d": ([(2, 1, 5, 6)], {"kernel_size": (2, 3), "stride": (1, 2), "padding": 1, "ceil_mode": True}),
    "avg_pool2d": ([(2, 1, 5, 6)], {"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}),
}


@pytest.mark.parametrize("name", DIFFERENTIATED)
def test_pytorch_differentiates_through_it(name):
    """`torch.autograd.gradcheck` in float64, and the explicit gradient is the same."""
    shapes, arguments = DIFFERENTIATED[name]
    rng = np.random.default_rng(1)
    leaves = [torch.asarray(rng.permutation(np.arange(float(np.prod(s)))).reshape(s)) / 8 for s in shapes]
    leaves = [leaf.requires_grad_() for leaf in leaves]
    for way in ("direct", "fft") if name == "conv_transpose2d" else ("auto",):
        assert torch.autograd.gradcheck(lambda *x, w=way: getattr(refconv, name)(*x, **arguments, method=w), leaves)


@pytest.mark.parametrize("name", [n for n in DIFFERENTIATED if n != "conv_transpose2d"])
def test_jax_derives_the_explicit_gradient(name):
    """`jax.vjp` under `jax.jit` of the forward operation gives what its `_backward` gives, ties and all."""
    shapes, arguments = DIFFERENTIATED[name]
    operands = [draw(*s) for s in shapes]
    function = getattr(refconv, name)

    @jax.jit
    def derived(*leaves):
        y, back = jax.vjp(lambda *x: function(*x, **arguments), *leaves)
        g = jax.numpy.arange(y.size, dtype=y.dtype).reshape(y.shape)
        return g, back(g)

    g, found = derived(*operands)
    want = getattr(refconv, f"{name}_backward")(np.asarray(g), *operands[:2], **arguments)
    want = want if isinstance(want, tuple) else (want,)
    for a, b in zip(found, want, strict=True):
        assert np.array_equal(np.rint(1e6 * np.asarray(a)), np.rint(1e6 * b))


def test_functions_of_functions_go_through_it():
    """`torch.func.vmap` over images of their own kernels, and `torch.func.grad`."""
    x, w = torch.asarray(draw(3, 1, 2, 5, 5)), torch.asarray(draw(3, 2, 2, 3, 3))
    many = torch.func.vmap(refconv.conv2d)(x, w)
    assert torch.equal(many, torch.stack([refconv.conv2d(a, b) for a, b in zip(x, w, strict=True)]))
    g = torch.func.grad(lambda w: refconv.conv2d(x[0], w).sum())(w[0])
    assert torch.equal(g, refconv.conv2d_backward(torch.ones(1, 2, 3, 3, dtype=x.dtype), x[0], w[0])[1])


CALLS = {
    "conv2d": ([(1, 2, 4, 4), (2, 2, 3, 3), (2,)], {"padding": 1, "stride": 2}),
    "conv_transpose2d": ([(1, 2, 4, 4), (2, 2, 3, 3), (2,)], {"stride": 2}),
    "conv2d_backward": ([(1, 2, 2, 2), (1, 2, 4, 4), (2, 2, 3, 3)], {}),
    "max_pool2d": ([(1, 2, 4, 4)], {"kernel_size": 2, "padding": 1}),
    "avg_pool2d": ([(1, 2, 4, 4)], {"kernel_size": 2, "padding": 1}),
    "max_pool2d_backward": ([(1, 2, 2, 2), (1, 2, 4, 4)], {"kernel_size": 2}),
    "avg_pool2d_backward": ([(1, 2, 2, 2), (1, 2, 4, 4)], {"kernel_size": 2}),
    "convolve": ([(5, 4), (2, 3)], {"mode": "same"}),
    "correlate": ([(2, 3), (5, 4)], {}),
}
WINOGRAD = {"conv2d": {"padding": 1}, "conv2d_backward": {}, "conv_transpose2d": {}}
WANTED = [(name, way) for name in CALLS for way in ("auto", *WAYS[OPERATIONS[name].kind])]


@pytest.mark.parametrize(("name", "way"), WANTED)
def test_results_stay_on_the_device_and_in_the_format(name, way):
    """On a second device, where whatever is made on the first cannot be mixed in; and on one without data."""
    shapes, arguments = CALLS[name]
    arguments = WINOGRAD[name] if way == "winograd" else arguments
    function, second = getattr(refconv, name), array_api_strict.Device("device1")
    strict = [array_api_strict.asarray(draw(*s).astype("float32"), device=second) for s in shapes]
    bare = [torch.empty(s, dtype=torch.float32, device="meta") for s in shapes]
    for operands, place in ((strict, second), (bare, torch.device("meta"))):
        results = function(*operands, **arguments, method=way)
        for result in results if isinstance(results, tuple) else (results,):
            assert type(result) is type(operands[0])
            assert result.dtype == operands[0].dtype and result.device == place


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "complex64", "int16"])
def test_formats_of_pytorch(dtype):
    """Narrow ones are rounded once; integers are exact and come back as int64."""
    x, w = torch.asarray(draw(1, 2, 4, 4)), torch.asarray(draw(2, 2, 3, 3))
    y = refconv.conv2d(x.to(getattr(torch, dtype)), w.to(getattr(torch, dtype)))
    assert y.dtype == (torch.int64 if dtype == "int16" else getattr(torch, dtype))
    assert torch.equal(y, refconv.conv2d(x, w).to(y.dtype))


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("to", [torch.asarray, array_api_strict.asarray], ids=["torch", "strict"])
def test_borders_are_those_of_numpy(mode, to):
    """Filled from the input itself, unevenly."""
    x, w = draw(1, 1, 4, 5), draw(1, 1, 3, 3)
    how = {"padding": ((1, 2), (0, 3)), "padding_mode": mode}
    assert np.array_equal(np.asarray(refconv.conv2d(to(x), to(w), **how)), refconv.conv2d(x, w, **how))


def test_images_without_a_batch():
    """As they came."""
    x, w = torch.asarray(draw(1, 4, 4)), torch.asarray(draw(1, 1, 3, 3))
    assert refconv.conv2d(x, w).shape == (1, 2, 2)
    assert refconv.max_pool2d_backward(refconv.max_pool2d(x, 2), x, 2).shape == (1, 4, 4)
    assert refconv.convolve(x[0, 0, 0], w[0, 0, 0, 0]).shape == ()


T = torch.ones(1, 1, 3, 3)
BIG = torch.full((1, 1, 3, 3), 2**62)
REFUSED = {
    "mixed kinds": (lambda: refconv.conv2d(T, np.ones((1, 1, 2, 2))), TypeError, "`input` is a torch array.*`weight`"),
    "a mixed bias": (lambda: refconv.conv2d(T, T, np.ones(1)), TypeError, "`bias` is a numpy array.*convert"),
    "a list beside": (
        lambda: refconv.convolve([1.0], torch.ones(1)),
        TypeError,
        "`in1` is a list and `in2` is a torch",
    ),
    "two devices": (lambda: refconv.conv2d(T, T.to("meta")), TypeError, "`weight` lies on meta.*move"),
    "a mixed gradient": (lambda: refconv.max_pool2d_backward(T, T.numpy(), 1), TypeError, "all must be arrays of one"),
    "two formats": (lambda: refconv.conv2d(T, T.double()), TypeError, "`weight` is of dtype torch.float64.*the same"),
    "booleans": (lambda: refconv.conv2d(T.bool(), T.bool()), TypeError, "`input` is of dtype torch.bool, but must be"),
    "an average of integers": (lambda: refconv.avg_pool2d(T.int(), 1), TypeError, "must be of a real floating"),
    "a method of NumPy's": (
        lambda: refconv.conv2d(T, T, method="toeplitz"),
        NotImplementedError,
        "NumPy's arrays alone",
    ),
    "prices": (lambda: refconv.conv2d(T, T, method="fastest"), NotImplementedError, "methods that can: direct, fft"),
    "no method": (lambda: refconv.conv2d(T, T, method="nope"), ValueError, "`method` is 'nope', but must be one of"),
    "no way of pooling": (lambda: refconv.max_pool2d(T, 2, method="sorting"), ValueError, "must be auto or windows"),
    "no way of signals": (lambda: refconv.convolve(T, T, method="toeplitz"), ValueError, "other arrays than NumPy's"),
    "rounded integers": (lambda: refconv.conv2d(T.int(), T.int(), method="fft"), NotImplementedError, "not int64"),
    "a rounded signal": (lambda: refconv.convolve(T.int(), T.int(), method="fft"), NotImplementedError, "stay exact"),
    "a stride": (lambda: refconv.conv2d(T, T, stride=2, method="winograd"), NotImplementedError, "`stride` is"),
    "large integers": (lambda: refconv.conv2d(BIG, BIG), OverflowError, "below 2\\*\\*63"),
    "a large signal": (lambda: refconv.convolve(BIG, BIG), OverflowError, "below 2\\*\\*63"),
    "a large gradient": (lambda: refconv.max_pool2d_backward(BIG, BIG, 2, 1, 1), ValueError, "`grad_output` has shape"),
    "a sum of gradients": (
        lambda: refconv.max_pool2d_backward(BIG[..., :2, :2], BIG, 2, 1),
        OverflowError,
        "up to 4 overlapping windows",
    ),
    "an empty signal": (lambda: refconv.convolve(T[:0], T), ValueError, "must hold at least one element"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused_is_named(what):
    """The argument, what it is and what it must be."""
    call, error, said = REFUSED[what]
    with pytest.raises(error, match=said):
        call()


def test_numpy_takes_care_of_its_own():
    """Its arrays, subclasses, scalars and lists have no namespace here, and keep their methods."""
    for value in (np.ones(2), np.float32(1), [1, 2], np.ma.ones(2)):
        assert namespace(input=value, weight=[3]) is None
    assert type(refconv.conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 2, 2)), method="toeplitz")) is np.ndarray


@pytest.mark.parametrize("path", sorted(Path(portable.__file__).parent.glob("*.py")), ids=lambda p: p.stem)
def test_the_portable_code_knows_no_library(path):
    """What it imports is the standard's, but for the lengths of transforms that are fast."""
    nodes = list(ast.walk(ast.parse(path.read_text())))
    names = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
    names |= {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    foreign = {n for n in names if n.partition(".")[0] not in {"refconv", *sys.stdlib_module_names}}
    assert foreign <= {"array_api_compat", "array_api_extra", "scipy.fft"}
