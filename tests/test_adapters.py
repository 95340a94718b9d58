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
from refconv.adapters import _LIBRARIES, ADAPTERS
from refconv.adapters.references import _POOLING
from refconv.algorithms import ALGORITHMS, signal
from refconv.bound import Claims
from refconv.judge import within
from refconv.law import Judged
from refconv.spec import KINDS, OPERATIONS, Case
from refconv.strategies import Scope
from refconv.subject import Subject, TargetError

OURS = sorted(name for name in ADAPTERS if name.startswith("refconv"))


@pytest.fixture(autouse=True)
def prices(monkeypatch):
    """Those of one machine: nothing is measured, nothing written to the user's cache."""
    monkeypatch.setattr(cost, "rates", lambda dtype: cost.Work(2e-11, 1.5e-10, 1.5e-10, 1e-6))


@pytest.mark.parametrize("name", ADAPTERS)
def test_a_short_name_loads_or_says_what_is_missing(name):
    """Its subject is called as it is, and has operations."""
    adapter = ADAPTERS[name]
    assert adapter.name == name and adapter.summary
    if not adapter.installed:
        with pytest.raises(TargetError, match=f"needs {adapter.needs}: pip install"):
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
    pytest.importorskip("torch")
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
    """The scope of an adapter's subject comes with it from the process that it runs in."""
    scope = Scope(("float16",), {"stride": 2}, pairs=True, empty=False)
    said = json.dumps([worker._described(Subject("one", {}, scope=scope))])
    monkeypatch.setattr(isolation._Process, "started", lambda self: json.loads(said))
    (found,) = isolation.isolated(["one"], isolation.Limits())
    assert vars(found.scope) == vars(scope)
