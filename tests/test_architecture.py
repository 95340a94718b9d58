"""Imports only point down; no algorithm knows another; what judges shares no code with what is judged."""

import ast
import inspect
import re
from pathlib import Path

import pytest

import refconv
from refconv.spec import OPERATIONS

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "refconv"

# Each module's layer; a package stands for its modules. What is not here is not part of the design.
LAYERS = {
    "dtypes": 0,
    "spec": 1,
    "workloads": 0,
    "timing": 0,
    "scratch": 0.5,
    "threads": 0,
    "blocks": 0,
    "messages": 0,
    "interpreter": 0,
    "claims": 2,
    "public": 5,
    "namespaces": 0,
    "algorithms": 2,
    "portable": 2.5,
    "receptive": 2,
    "errorfree": 1,
    "exact": 2,
    "cost": 3,
    "parts": 3,
    "convolution": 4,
    "pooling": 3,
    "signal": 3,
    "bound": 3,
    "cover": 3,
    "draws": 3,
    "families": 3,
    "features": 4,
    "network": 5,
    "strategies": 5,
    "judge": 4,
    "smaller": 2,
    "layered": 2,
    "excerpt": 2,
    "shrink": 5,
    "precision": 5,
    "sensitivity": 5,
    "subject": 6,
    "arrays": 1,
    "law": 7,
    "clock": 6.5,
    "isolation": 7,
    "worker": 8,
    "keeper": 9,
    "xfails": 7,
    "adapters": 7,
    "relations": 8,
    "hypotheses": 7.5,
    "diagnosis": 8,
    "options": 8,
    "reproduce": 8,
    "peak": 1,
    "bench": 9,
    "verdict": 9,
    "report": 10,
    "files": 0,
    "bench_command": 10.5,
    "init_command": 10.5,
    "completion": 10.5,
    "chapters": 7.5,
    "crew": 7,
    "campaign": 10.1,
    "ledger": 10.2,
    "campaign_report": 10.3,
    "campaign_command": 10.5,
    "cli": 11,
}
DOORS = {"convolution", "pooling", "signal", "receptive"}


def _modules():
    return sorted(p for p in PACKAGE.rglob("*.py") if p != PACKAGE / "__init__.py")


def _name(path):
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def _imports(path):
    """Names of refconv's modules that a module imports, at its top or inside a function."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module)
            found.update(f"{node.module}.{alias.name}" for alias in node.names)
    return {name for name in found if name.split(".")[0] == "refconv" and _is_module(name)}


def _is_module(name):
    path = ROOT.joinpath(*name.split("."))
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def _part(name):
    return name.split(".")[1] if "." in name else ""


@pytest.mark.parametrize("path", _modules(), ids=_name)
def test_imports_point_down(path):
    """A module imports only modules of lower layers (of its own package, siblings)."""
    here = _part(_name(path))
    for other in _imports(path):
        there = _part(other)
        if there and there != here:
            assert LAYERS[there] < LAYERS[here], f"{_name(path)} imports {other}, which lies above or beside it"


@pytest.mark.parametrize("path", sorted((PACKAGE / "algorithms").glob("[a-z]*.py")), ids=_name)
def test_algorithms_stand_alone(path):
    """An algorithm imports facts, boxes, memory and threads only: no other algorithm, nothing of the judge."""
    assert {_part(n) for n in _imports(path)} <= {"", "blocks", "dtypes", "scratch", "spec", "threads"}


def test_exact_values_share_no_code_with_the_algorithms():
    """What is true is not computed by what is judged."""
    reached, todo = set(), {"refconv.exact"}
    while todo:
        name = todo.pop()
        reached.add(name)
        path = ROOT.joinpath(*name.split("."))
        todo |= _imports(path.with_suffix(".py")) - reached - {"refconv"}
    assert reached == {"refconv.exact", "refconv.errorfree", "refconv.spec", "refconv.dtypes"}


@pytest.mark.parametrize("path", [PACKAGE / "__init__.py", *_modules()], ids=_name)
def test_a_module_says_what_it_is_for(path):
    """The first line of a module is one sentence."""
    doc = ast.get_docstring(ast.parse(path.read_text())) or ""
    assert re.match(r".{10,}?[.:;]", doc.replace("\n", " ")), f"{_name(path)} does not say what it alone does"


PUBLIC = sorted(name for name in dir(refconv) if callable(getattr(refconv, name)) and not name.startswith("_"))


def test_every_operation_is_public():
    """refconv has a function of each operation's name, with the operation's parameters and one more, `method`."""
    for name, operation in OPERATIONS.items():
        parameters = inspect.signature(getattr(refconv, name)).parameters
        wanted = [*operation.operands, *operation.arguments]
        assert list(parameters)[: len(wanted)] == wanted, name
        assert "method" in parameters


@pytest.mark.parametrize("name", [n for n in PUBLIC if inspect.isfunction(getattr(refconv, n))])
def test_public_functions_are_documented(name):
    """Shapes, errors, source, and an example that runs (doctests run with the tests)."""
    doc = inspect.getdoc(getattr(refconv, name)) or ""
    for part in ("Parameters", "Returns", "Raises", ">>> "):
        assert part in doc, f"{name}: its docstring has no {part!r}"
    assert re.search(r"\b(1[89]|20)\d\d\b", doc), f"{name}: its docstring names no source with a year"


def test_no_operation_is_hidden_in_a_catch_all():
    """No module is called after nothing in particular."""
    assert not {p.stem for p in _modules()} & {"utils", "util", "helpers", "common", "misc", "tools"}
