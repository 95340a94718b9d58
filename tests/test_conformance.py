"""The page on released libraries: equal diagnoses are one finding, and nothing is called a fault without proof."""

import json
from pathlib import Path

import numpy as np
import pytest

from refconv import reproduce
from refconv.spec import OPERATIONS, Case
from refconv.verdict import _case as described
from tests import conformance
from tests.conformance import Cell, Finding, findings, page

ROOT = Path(__file__).parent.parent
ONES = np.ones((1, 1, 2), np.float32)
CASE = Case(OPERATIONS["conv1d"], {"input": ONES, "weight": ONES}, {}, "float32")
FAULT = {"library": "scipy", "finding": "kernel", "kind": "fault", "documentation": "https://example.org says so"}


def _law(name="every_element", got=3.0, exact=2.0, kind="flipped kernel", status="violated"):
    violation = {"reason": f"`output` is {got}", "result": "output", "index": [0, 0, 0], "got": got, "exact": exact}
    violation |= {"allowed": 0.0, "case": described(CASE)}
    about = {"law": name, "statement": "A law.", "required": True, "status": status, "cases": 8, "declined": 2}
    return {**about, "violation": violation, "diagnosis": kind and {"kind": kind}}


def _record(operation="conv1d", dtype="float32", laws=(), verdict="wrong", library="scipy", **more):
    found = {"verdict": verdict, "laws": list(laws), "claims": {"nan_max": "drop"}}
    found["precision"] = [{"dtype": dtype, "class": "float32, rounded to nearest"}]
    about = {"library": library, "operation": operation, "dtype": dtype, "version": "1", "profile": "quick"}
    return {**about, "verdict": found, **more}


def test_equal_diagnoses_are_one_finding():
    """Over operations and dtypes; what NaN does is another one, and another library's is its own."""
    nan = _law("a_nan_reaches", kind=None)
    every = [
        _record(laws=[_law(), _law("other", kind=None)]),
        _record("conv2d", "float64", [_law(got=7.0), nan]),
        _record(library="onnx", laws=[_law()]),
        _record("conv3d", laws=[_law(status="verified")], verdict="correct"),
    ]
    assert [(f.library, f.what, len(f.places)) for f in findings(every)] == [
        ("scipy", "conv: flipped kernel", 2),
        ("scipy", "conv: a nan reaches: `output` is _", 1),
        ("onnx", "conv: flipped kernel", 1),
    ]
    text = page(every, [])
    assert (
        "| scipy | 1 | conv1d | quick | wrong (nan_max=drop) | float32 as float32, rounded to nearest | 25 % | 2 ([1]"
        in text
    )
    assert "| conv3d | quick | correct (nan_max=drop) | float32 as float32, rounded to nearest | 25 % | 0 |" in text
    assert text.count("Kind: **open**") == 3


@pytest.mark.parametrize(
    ("exact", "said", "kind"),
    [
        (2.0, FAULT, "fault"),
        (5.0, FAULT, "open"),  # no reference gives 5
        (2.0, {**FAULT, "documentation": ""}, "open"),
        (5.0, {**FAULT, "references": ["one", "two"]}, "open"),
        (5.0, {**FAULT, "references": ["one", "two", "three"]}, "fault"),
        (2.0, {**FAULT, "library": "onnx"}, "open"),
        (5.0, {**FAULT, "kind": "weaker class"}, "weaker class"),
    ],
    ids=["proven", "disproven", "undocumented", "two by hand", "three by hand", "another library", "weaker"],
)
def test_a_fault_is_one_only_where_three_references_agree_and_it_is_documented(exact, said, kind):
    """Whatever somebody's view is."""
    one = Finding("scipy", "flipped kernel", [(_record(), _law(exact=exact))])
    assert one.view([said])["kind"] == kind
    assert len(one.agreeing) == (0 if exact == 5.0 else len(conformance.REFERENCES) - 2)  # two are for poolings only


def test_where_no_element_is_wrong_a_reference_must_give_all_of_them_right(monkeypatch):
    """Of a call that ends the library, say."""
    law = _law(exact=None)
    law["violation"] |= {"index": [], "got": None, "allowed": None}
    one = Finding("scipy", "crash", [(_record(), law)])
    assert len(one.agreeing) == len(conformance.REFERENCES) - 2
    wrong = {"output": np.zeros((1, 1, 1))}
    others = {"zeros": lambda case: wrong, "short": lambda case: {"output": wrong["output"][..., :0]}}
    monkeypatch.setattr(conformance, "REFERENCES", others)
    assert Finding("scipy", "crash", [(_record(), law)]).agreeing == []


def test_the_case_of_a_finding_is_kept(tmp_path, monkeypatch):
    """What is no finding any more goes; the page says where the case lies."""
    monkeypatch.setattr(conformance, "CASES", tmp_path / "kept")
    (tmp_path / "kept" / "older").mkdir(parents=True)
    (one,) = findings([_record(laws=[_law()])])
    made = tmp_path / "failures" / "scipy" / "float32" / "scipy-conv1d-every_element"
    made.mkdir(parents=True)
    conformance.keep([one], tmp_path)
    assert list((tmp_path / "kept").rglob("*"))[-1] == tmp_path / "kept" / one.folder
    assert not (tmp_path / "kept" / "older").exists()
    text = page([_record(laws=[_law()])], [])
    assert f"`refconv replay docs/conformance/{one.folder}`" in text and "input = [[[1.0, 1.0]]]" in text


KEPT = sorted(conformance.CASES.glob("*/*/*"))
# One of each library that is installed: each has a process of its own.
HERE = {p.parent.parent.name: p for p in KEPT if conformance.ADAPTERS[p.parent.parent.name].installed}


@pytest.mark.parametrize("kept", HERE.values(), ids=HERE)
def test_a_finding_replays(kept):
    """In the versions that the constraints name: that a library was mended is to be written down."""
    violation, word = reproduce.replay(kept, ROOT / "properties")
    assert violation is not None, word


@pytest.mark.parametrize("kept", KEPT, ids=lambda p: f"{p.parent.name}-{p.name}"[:70])
def test_a_finding_can_be_read(kept):
    """Its call, its evidence and its script; the page names it."""
    assert reproduce.kept(kept).case is not None
    compile((kept / "reproduce.py").read_text(), "reproduce.py", "exec")
    assert f"docs/conformance/{kept.relative_to(conformance.CASES)}`" in conformance.PAGE.read_text()


def test_a_run_goes_on_where_it_was_cut_off(tmp_path, monkeypatch):
    """A record counts for its version and for as many cases."""
    cell = Cell("scipy", "convolve", "float32")
    assert cell in list(conformance.cells(["scipy"], ["convolve"]))
    assert not conformance.known(cell, tmp_path, "quick")
    record = _record("convolve", version=conformance.ADAPTERS["scipy"].version)
    cell.path(tmp_path).parent.mkdir()
    cell.path(tmp_path).write_text(json.dumps(record))
    assert conformance.known(cell, tmp_path, "quick") and not conformance.known(cell, tmp_path, "standard")
    cell.path(tmp_path).write_text(json.dumps({**record, "version": "0.1"}))
    assert not conformance.known(cell, tmp_path, "quick")
    assert conformance.records(tmp_path)[0]["version"] == "0.1"


def test_what_breaks_down_is_a_record_too(tmp_path, monkeypatch):
    """With what was said; the page shows it."""
    monkeypatch.setattr(conformance.sys, "executable", "/bin/false")
    record = conformance.judged(Cell("scipy", "convolve", "float32"), tmp_path, "quick")
    assert record["verdict"] is None
    assert "| convolve | quick | broke down | - | - | 0 |" in page([record], [])


def test_every_view_is_one():
    """Each names a library that there is and a kind; a fault cites its documentation."""
    import tomllib

    for said in tomllib.loads(conformance.VIEWS.read_text())["view"]:
        assert said["library"] in conformance.ADAPTERS and said["kind"] in conformance.KINDS and said["says"]
        assert said["kind"] != "fault" or said["documentation"]
        assert not conformance.REFERENCES.keys() & said.get("references", ())  # those are asked
