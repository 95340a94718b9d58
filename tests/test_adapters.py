"""The short names: each loads or says what is missing, and claims of a call what the registries state."""

import ast
import json
import tomllib
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

import refconv
from refconv import adapters, cost, isolation, worker
from refconv.adapters import _LIBRARIES, ADAPTERS, tinygrad
from refconv.adapters.references import _POOLING
from refconv.algorithms import ALGORITHMS, signal
from refconv.claims import Claims
from refconv.judge import within
from refconv.law import Effort, Judged
from refconv.spec import KINDS, OPERATIONS, Case
from refconv.strategies import Scope
from refconv.subject import Declined, Subject, TargetError
from tests import score

OURS = sorted(name for name in ADAPTERS if name.startswith("refconv"))


@pytest.fixture(autouse=True)
def prices(monkeypatch):
    """Those of one machine: nothing is measured, nothing written to the user's cache."""
    monkeypatch.setattr(cost, "rates", lambda dtype: cost.Work(2e-11, 1.5e-10, 1.5e-10, 1e-6))


# Of cuDNN: enabled, benchmark, deterministic, TF32 allowed.
MODES = {
    "torch-nocudnn": (False, False, False, False),
    "torch-cudnn-benchmark": (True, True, False, False),
    "torch-cudnn-deterministic": (True, False, True, False),
    "torch-cudnn-tf32": (True, False, False, True),
}


@pytest.mark.parametrize("name", [name for name in ADAPTERS if name not in MODES])
def test_a_short_name_loads_or_says_what_is_missing(name):
    """Its subject is called as it is, and has operations."""
    adapter = ADAPTERS[name]
    assert adapter.name == name and adapter.summary
    if not adapter.installed:
        with pytest.raises(TargetError, match=f"needs {adapter.missing}: pip install"):
            adapter()
        return
    subject = adapter()
    assert subject.name == name
    assert subject.operations and set(subject.functions) <= set(OPERATIONS)


def test_what_is_missing_is_said(monkeypatch):
    """Where the library is not there."""
    monkeypatch.setattr(adapters, "find_spec", lambda name: None)
    for adapter in ADAPTERS.values():
        assert adapter.installed == (not adapter.needs)
    with pytest.raises(TargetError, match=r"'torch' needs torch: pip install 'refconv\[torch\]'"):
        ADAPTERS["torch"]()


def test_torch_has_every_operation_but_two():
    """Twelve forward ones; of nine of them the gradient, by automatic differentiation."""
    pytest.importorskip("torch", reason="pip install 'refconv[torch]'")
    subject = ADAPTERS["torch"]()
    assert {op.name for op in subject.operations} == set(OPERATIONS) - {"convolve", "correlate"}
    assert len(subject.operations) == 21 and len(subject.functions) == 12
    assert subject.array == "torch" and subject.claim_for is None and subject.claims == Claims()


def test_our_references_have_every_way():
    """Each method of a registry is a short name, and `refconv` has every operation."""
    ways = {*ALGORITHMS, *signal.CONVOLVE, *(way for table in _POOLING.values() for way in table)}
    assert {name.removeprefix("refconv-") for name in OURS} - {"refconv", "fastest"} == ways
    assert {op.name for op in ADAPTERS["refconv"]().operations} == set(OPERATIONS)


@pytest.mark.parametrize("name", OURS)
def test_a_way_offers_what_its_registry_has(name):
    """No operation that it has not, none left out."""
    way = name.removeprefix("refconv-")
    offered = {op.name for op in ADAPTERS[name]().operations}
    if name == "refconv":
        return
    want = {op.name for kind, table in _POOLING.items() if way in table for op in KINDS[kind]}
    want |= {"convolve", "correlate"} if way in signal.CONVOLVE else set()
    if way == "fastest" or way in ALGORITHMS:
        want |= {op.name for kind in ("conv", "conv_transpose", "conv_backward") for op in KINDS[kind]}
    assert offered == want


def _case(operation, n=8, k=3, dtype="float32", **arguments):
    op = OPERATIONS[operation]
    rng, r = np.random.default_rng(0), op.rank
    shapes = {"input": (1, 2, *[n] * r), "weight": (2, 2, *[k] * r)}
    if op.kind == "conv_backward":
        shapes = {"grad_output": (1, 2, *[n - k + 1] * r), **shapes}
    elif "pool" in op.kind:
        shapes, arguments = {"input": shapes["input"]}, {"kernel_size": 2, **arguments}
        if op.kind.endswith("backward"):
            shapes = {"grad_output": (1, 2, *[n // 2] * r), **shapes}
    elif r == 0:
        shapes = {"in1": (n, n), "in2": (k, k)}
    return Case(op, {name: rng.integers(-3, 4, s).astype(dtype) for name, s in shapes.items()}, arguments, dtype)


def _claim(name, case):
    return ADAPTERS[name]().claims_for(case).algorithm


@pytest.mark.parametrize(
    ("name", "case", "claim"),
    [
        ("refconv", _case("conv2d"), "direct"),
        ("refconv-direct", _case("conv2d"), "direct"),
        ("refconv-im2col", _case("conv3d"), "direct"),
        ("refconv-toeplitz", _case("conv1d"), "direct"),
        ("refconv-fft", _case("conv2d"), "fft"),
        ("refconv-fft", _case("conv_transpose2d"), "fft"),
        ("refconv-fft", _case("convolve"), "fft"),
        ("refconv-overlap_add", _case("correlate"), "fft"),
        ("refconv-direct", _case("convolve"), "direct"),
        ("refconv-separable", _case("max_pool2d"), "direct"),
        ("refconv-convolution", _case("avg_pool2d"), "direct"),
    ],
    ids=lambda v: v.operation.name if isinstance(v, Case) else v,
)
def test_the_claim_of_a_call(name, case, claim):
    """Known ones."""
    assert _claim(name, case) == claim


@pytest.mark.parametrize("operation", ["conv1d", "conv2d", "conv3d"])
def test_winograd_claims_its_tile_where_it_is_used(operation):
    """And direct summation where it hands the call on."""
    assert _claim("refconv-winograd", _case(operation)).startswith("winograd(")
    strided = _case(operation, stride=2)
    spec, size, kernel = strided.conv, strided.operands["input"].shape[2:], strided.operands["weight"].shape[2:]
    assert ALGORITHMS["winograd"].refuses(operation, spec, size, kernel, np.dtype("float32"))
    assert _claim("refconv-winograd", strided) == "direct"


@pytest.mark.parametrize("name", OURS)
def test_every_claim_is_kept(name):
    """Each operation of each way is right under its claim, also in a narrow format; a claim is one that there is."""
    subject = ADAPTERS[name]()
    for op in subject.operations:
        for dtype in ("float32", "float64"):
            case = _case(op.name, dtype=dtype)
            claims = subject.claims_for(case)
            assert claims.algorithm in ("direct", "fft") or claims.algorithm.startswith("winograd(")
            assert within(Judged(subject, op)(case), case, claims) <= 1, (op.name, dtype)


@pytest.mark.parametrize("name", OURS)
def test_the_function_is_the_references_method(name):
    """What is judged is what `method` computes."""
    way, subject = name.removeprefix("refconv-"), ADAPTERS[name]()
    op = subject.operations[0]
    case = _case(op.name)
    want = getattr(refconv, op.name)(
        *case.operands.values(), **case.arguments, method="auto" if way == "refconv" else way
    )
    assert np.array_equal(Judged(subject, op).one(case), want)


# -------------------------------------------------------------------------------------- other libraries

THEIRS = ("jax", "onnxruntime", "onnx", "scipy", "scipy-ndimage", "torch-nomkldnn", "torch-channels-last")
SIZES = (4, 5, 6)
EVEN = ((0, 1), (2, 0), (1, 2))  # before and after differ on every axis, and from axis to axis


def _ramp(*shape):
    """Small whole numbers without a symmetry, each sum of which is exact."""
    return (np.arange(np.prod(shape)) * 7 % 11 - 4).reshape(shape).astype("float32")


def _call(kind, rank, x, w=None, **arguments):
    """One call in so many dimensions; what is said of three axes is cut to its last ones."""
    cut = {n: v[-rank:] if isinstance(v, tuple) else v for n, v in arguments.items()}
    operands = {"input": _ramp(2, x, *SIZES[-rank:])}
    if w:
        operands["weight"] = _ramp(*w, *(3, 2, 2)[-rank:])
    return Case(OPERATIONS[f"{kind}{rank}d"], operands, cut, "float32")


CALLS = [
    ("conv", 4, (6, 2), {"padding": EVEN, "stride": (1, 3, 2), "groups": 2}),
    ("conv", 2, (1, 2), {"padding": "same"}),
    ("conv", 2, (1, 2), {"padding": "same", "dilation": (1, 2, 2)}),
    ("conv", 1, (2, 1), {"padding": EVEN, "stride": 2}),
    ("conv_transpose", 2, (2, 3), {"stride": (3, 2, 2), "padding": EVEN, "output_padding": (2, 1, 1)}),
    ("conv_transpose", 4, (4, 3), {"groups": 2, "dilation": (1, 2, 3)}),
    ("max_pool", 2, None, {"kernel_size": (2, 3, 4), "padding": ((0, 1), (1, 0), (1, 2)), "stride": (2, 1, 2)}),
    ("max_pool", 1, None, {"kernel_size": 2, "dilation": (1, 2, 3), "stride": (1, 2, 2), "ceil_mode": True}),
    ("avg_pool", 2, None, {"kernel_size": (3, 4, 4), "padding": ((1, 0), (1, 2), (2, 1)), "stride": 2}),
    ("avg_pool", 1, None, {"kernel_size": 3, "padding": 1, "stride": 2, "count_include_pad": False}),
    ("avg_pool", 1, None, {"kernel_size": 4, "padding": 2, "stride": 3, "ceil_mode": True}),
]
# What a library does wrong by itself (see CONFORMANCE.md), by the number of the call.
KNOWN = {"onnx": {5, 6, 7, 10}}
ACCEPTED = {"onnx": {0, 1, 2, 3, 4, 8, 9}, "scipy": {3}, "scipy-ndimage": {3, 6, 7, 8}}
ACCEPTED |= {name: {1, 2, 5, 7, 9, 10} for name in ("torch-nomkldnn", "torch-channels-last")}  # no uneven padding


@pytest.mark.parametrize("name", THEIRS)
def test_a_translation_keeps_every_convention(name):
    """Uneven padding in its order, SAME, weight layouts, groups, output padding, counts: every sum is exact."""
    subject, accepted = ADAPTERS[name](), set()
    for number, (kind, x, w, arguments) in enumerate(CALLS):
        case = _call(kind, 2 if name == "scipy" else 3, x, w, **arguments)
        padding = case.settings["padding"]
        pairs = isinstance(padding, tuple) and isinstance(padding[0], tuple)
        if case.operation not in subject.operations or number in KNOWN.get(name, ()) or pairs > subject.scope.pairs:
            continue
        try:
            results = Judged(subject, case.operation)(case)
        except Declined:
            continue
        accepted.add(number)
        assert within(results, case, subject.claims_for(case)) <= 1
    assert accepted == ACCEPTED.get(name, set(range(len(CALLS)))), accepted


@pytest.mark.parametrize(("way", "claim"), [("scipy", "direct"), ("scipy-fft", "fft"), ("scipy-oa", "fft")])
def test_signals_of_scipy(way, claim):
    """Each way claims its class, flips where it must, and keeps the mode's size."""
    subject = ADAPTERS[way]()
    assert subject.claims.algorithm == claim
    for name in subject.functions.keys() & {"convolve", "correlate"}:
        for mode in ("full", "same", "valid"):
            case = Case(OPERATIONS[name], {"in1": _ramp(5, 6), "in2": _ramp(2, 3)}, {"mode": mode}, "float32")
            assert within(Judged(subject, case.operation)(case), case, subject.claims) <= 1


@pytest.mark.parametrize("name", ["jax", "onnxruntime", "onnx", "torch-nomkldnn", "scipy-ndimage"])
def test_a_few_cases_of_the_central_law(name):
    """Drawn as for anybody else's subject."""
    subject = ADAPTERS[name]()
    operation = OPERATIONS["conv2d_backward" if "torch" in name else "avg_pool1d" if name == "onnx" else "conv1d"]
    oracle = next(rule for rule in score.laws() if "every_element" in rule.__name__)
    record = oracle.run(Judged(subject, operation, Effort(5, shrinks=False)))
    assert record.status == "verified" and record.accepted >= 5, record.violation


def test_gradients_of_jax_are_its_own():
    """By vjp of the translation, judged like a written backward pass."""
    subject = ADAPTERS["jax"]()
    assert subject.array == "jax" and "conv2d_backward" not in subject.functions
    for name in ("conv2d_backward", "max_pool1d_backward"):
        case = _case(name, dtype="float64")
        assert within(Judged(subject, OPERATIONS[name])(case), case, subject.claims) <= 1


def test_onednn_is_off_in_both_directions(monkeypatch):
    """While a call is made, and no longer."""
    import torch

    seen, grad = [], torch.autograd.grad
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: (seen.append(_on()), grad(*a, **k))[1])
    subject, before = ADAPTERS["torch-nomkldnn"](), torch.backends.mkldnn.enabled
    Judged(subject, OPERATIONS["conv2d_backward"])(_case("conv2d_backward"))
    assert seen == [False] and torch.backends.mkldnn.enabled == before


def _on():
    import torch

    return torch.backends.mkldnn.enabled


@pytest.mark.parametrize(("name", "expected"), MODES.items())
def test_cudnn_is_in_its_mode_in_both_directions(name, expected, monkeypatch):
    """While a call is made, and no longer. Without a GPU there is nothing to judge; the flags are there without."""
    import torch

    def said():
        flags = torch.backends.cudnn
        return flags.enabled, flags.benchmark, flags.deterministic, flags.allow_tf32

    with pytest.raises(TargetError, match="CUDA device"):
        ADAPTERS[name]()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    seen, grad, before = [], torch.autograd.grad, said()
    monkeypatch.setattr(torch.autograd, "grad", lambda *a, **k: (seen.append(said()), grad(*a, **k))[1])
    Judged(ADAPTERS[name](), OPERATIONS["conv2d_backward"])(_case("conv2d_backward"))
    assert seen == [expected] and said() == before
    assert (ADAPTERS[name]().claims.input_rounding == "tf32") == expected[3]


def test_without_a_compiler_there_is_nothing_to_judge(monkeypatch):
    """Rather than the uncompiled function, or a call that fails each time."""
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(TargetError, match="by 'clang', which is not on the path"):
        tinygrad.subject()
    with pytest.raises(TargetError, match="'torch-compile' needs a C"):
        ADAPTERS["torch-compile"]()


def test_what_one_node_cannot_say_is_declined():
    """Complex numbers are in no operator's types, float64 convolutions in no kernel of the runtime."""
    case = _case("conv1d", dtype="float64")
    with pytest.raises(Declined):
        Judged(ADAPTERS["onnxruntime"](), case.operation)(case)
    assert within(Judged(ADAPTERS["onnx"](), case.operation)(case), case, Claims()) == 0


def test_the_first_missing_module_is_named(monkeypatch):
    """Of a library that needs another one, with the extra that installs both."""
    monkeypatch.setattr(adapters, "find_spec", lambda name: None if name == "onnx" else object())
    with pytest.raises(TargetError, match=r"'onnxruntime' needs onnx: pip install 'refconv\[onnxruntime\]'"):
        ADAPTERS["onnxruntime"]()


def test_versions_are_those_of_the_library():
    assert ADAPTERS["torch-nomkldnn"].version == ADAPTERS["torch"].version != ""
    assert ADAPTERS["refconv"].version == refconv.__version__


@pytest.mark.parametrize("name", _LIBRARIES)
def test_a_library_is_named_with_its_conventions_and_its_extra(name, monkeypatch):
    """Its module compiles, is read without the library, says what it translates; where it is absent, how to get it."""
    adapter, root = ADAPTERS[name], Path(adapters.__file__).parent.parent.parent
    tree = ast.parse((root / "refconv" / "adapters" / f"{name}.py").read_text())
    compile(tree, name, "exec")
    assert "Conventions translated" in ast.get_docstring(tree) and "Claims: " in ast.get_docstring(tree)
    imported = {a.name.split(".")[0] for n in tree.body if isinstance(n, ast.Import) for a in n.names}
    imported |= {n.module.split(".")[0] for n in tree.body if isinstance(n, ast.ImportFrom)}
    assert adapter.needs not in imported, "the library is loaded only when the subject is built"
    extra = adapter.extra or adapter.needs
    assert extra == name
    assert extra in tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    monkeypatch.setattr(adapters, "find_spec", lambda module: None if module == adapter.needs else find_spec(module))
    with pytest.raises(TargetError, match=rf"target '{name}' needs {adapter.needs}: pip install 'refconv\[{name}\]'"):
        adapter()


def test_what_a_subject_is_for_is_known_outside_its_process(monkeypatch):
    """The scope of an adapter's subject comes with it from the process that it runs in; nobody else's does."""
    scope = Scope(("float16",), {"stride": 2}, pairs=True, empty=False)
    said = json.dumps([worker._described(Subject("one", {}, scope=scope))])
    monkeypatch.setattr(isolation._Process, "started", lambda self: json.loads(said))
    (found,) = isolation.isolated(["one"], isolation.Limits(), named=True)
    assert vars(found.scope) == vars(scope)
    (other,) = isolation.isolated(["one"], isolation.Limits())
    assert vars(other.scope) == vars(Scope())
