"""The JUnit report: of the form that its readers agree on, with a stable name for everything, and fit for any text."""

import xml.etree.ElementTree as ET
from collections import Counter

import pytest

import refconv
from refconv import cli, options
from refconv.diagnosis.kinds import Diagnosis
from refconv.judge import Violation
from refconv.law import Record
from refconv.report import junit
from refconv.subject import Subject
from refconv.verdict import CENTRAL, Verdict
from refconv.xfails import Xfail

SUBJECT = Subject("pkg/mine.py", {"conv2d": refconv.conv2d})
# What Jenkins' schema has: attributes (those that must be there first), and children in this order.
FORM = {
    "testsuites": ([], ["name", "time", "tests", "failures", "disabled", "errors"], ["testsuite"]),
    "testsuite": (
        ["name", "tests"],
        ["failures", "errors", "time", "disabled", "skipped", "timestamp", "hostname", "id", "package"],
        ["properties", "testcase", "system-out", "system-err"],
    ),
    "properties": ([], [], ["property"]),
    "property": (["name", "value"], [], []),
    "testcase": (
        ["name", "classname"],
        ["time", "assertions", "status"],
        ["skipped", "error", "failure", "system-out", "system-err"],
    ),
    "skipped": ([], ["type", "message"], []),
    "failure": ([], ["type", "message"], []),
    "error": ([], ["type", "message"], []),
    "system-out": ([], [], []),
}


def _record(name=CENTRAL, status="verified", **keywords):
    record = Record(name, "oracle", "It is so.", SUBJECT.name, "conv2d", True, status=status, **keywords)
    if status in ("violated", "absent") and record.violation is None:
        record.violation = Violation("off")
    return record


def _check_form(element):
    must, may, children = FORM[element.tag]
    assert set(must) <= element.attrib.keys() <= {*must, *may}, element.attrib
    places = [children.index(child.tag) for child in element]
    assert places == sorted(places), [child.tag for child in element]
    for child in element:
        _check_form(child)


def _read(*verdicts):
    root = ET.fromstring(junit.document(verdicts).encode())
    _check_form(root)
    for suite in root:
        cases = suite.findall("testcase")
        assert int(suite.get("tests")) == len(cases)
        for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(name)) == sum(case.find(kind) is not None for case in cases)
    return root


def _cases(root):
    return {case.get("name"): case for case in root.iter("testcase")}


def test_every_status_has_its_place():
    """Held, broken, broken as expected, declined, not there, not claimed."""
    broken = _record("b", "violated", violation=Violation("off", result="output"))
    broken.diagnosis = Diagnosis("bias", "it is missing")
    broken.violation.printed = "last words\n"
    declines = {"declined": 9, "cases": 9, "reasons": Counter({"no GPU": 6, "no": 3})}
    records = [
        _record(seconds=1.5),
        broken,
        _record("c", "violated", expected="issue 7"),
        _record("d", "unverified", **declines),
        _record("e", "not applicable", **declines),
        _record("f", "absent"),
    ]
    cases = _cases(_read(Verdict(SUBJECT, records)))
    assert list(cases) == [CENTRAL, "b", "c", "d", "e", "f"]
    assert {case.get("classname") for case in cases.values()} == {"pkg/mine.py.conv2d"}
    assert cases[CENTRAL].get("time") == "1.500" and not len(cases[CENTRAL])
    failure = cases["b"].find("failure")
    assert failure.attrib == {"message": "off", "type": "bias"}
    assert failure.text.startswith("conv2d: It is so.\noff\nwhat     bias: it is missing")
    assert cases["b"].find("system-out").text == "last words\n"
    said = {
        name: case.find("skipped").get("message") for name, case in cases.items() if case.find("skipped") is not None
    }
    assert said == {
        "c": "known failure: issue 7",
        "d": "unverified: 9 of 9 calls were declined: no GPU",
        "e": "not applicable: 9 of 9 calls were declined: no GPU",
        "f": "a characteristic that does not hold, and is not claimed",
    }


def test_what_the_verdict_rests_on():
    """Claim, effort and versions as properties; two subjects are two suites whose counts add up."""
    entry = Xfail("conv2d", CENTRAL, "was off")
    one = Verdict(SUBJECT, [_record()], seconds=2.0, seed=7, profile="quick", xfails=[entry])
    two = Verdict(SUBJECT, [_record(status="violated")], seconds=2.0)
    root = _read(one, two)
    assert [root.get(name) for name in ("tests", "failures", "errors", "time")] == ["2", "1", "0", "2.000"]
    found = {p.get("name"): p.get("value") for p in root[0].iter("property")}
    assert found["verdict"] == "correct" and found["seed"] == "7" and found["profile"] == "quick"
    assert found["claim"].startswith("pkg/mine.py against the default claim; float32, float64")
    assert {"version.numpy", "version.refconv", "version.python"} <= found.keys()
    assert found["unexpected pass"].endswith("was off")
    assert "UNEXPECTED PASS: was off" in _cases(root[0])[CENTRAL].find("system-out").text


@pytest.mark.parametrize("records", [[], [_record(status="unverified")], [_record("other")]])
def test_what_is_not_verified_is_not_green(records):
    """No law is broken, but nobody should take that for a pass."""
    root = _read(Verdict(SUBJECT, records))
    (error,) = root.iter("error")
    assert error.get("message") == "not verified" and root.get("errors") == "1"
    assert root.find(".//testcase[@name='verdict']").get("classname") == SUBJECT.name


HOSTILE = "</failure><x a='\"'>&amp;]]>\x00\x1b[2J\ud800\ufffe\n<!-- & -->"


def test_any_text_is_text():
    """Mark-up in names, reasons and output stays what it is; what XML has no place for becomes U+FFFD."""
    subject = Subject(HOSTILE, SUBJECT.functions)
    broken = _record(status="violated", violation=Violation(HOSTILE))
    broken.violation.printed = HOSTILE
    root = _read(Verdict(subject, [broken, _record("d", "unverified", reasons=Counter([HOSTILE]))]))
    cleaned = "</failure><x a='\"'>&amp;]]>\ufffd\ufffd[2J\ufffd\ufffd\n<!-- & -->"
    cases = _cases(root)
    assert root[0].get("name") == cleaned
    assert cases[CENTRAL].find("failure").get("message") == cleaned
    assert cases[CENTRAL].find("system-out").text == cleaned
    assert cases["d"].find("skipped").get("message").endswith(cleaned)


MINE = """
import numpy as np, refconv
def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    return refconv.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode)
def correlate(in1, in2, mode="full"):
    return np.ones_like(refconv.correlate(in1, in2, mode))
"""


def _names(file):
    return [(case.get("classname"), case.get("name")) for case in ET.parse(file).getroot().iter("testcase")]


def test_names_do_not_depend_on_the_order_of_options(tmp_path, monkeypatch, capfd):
    """Nor on the order of targets, the seed or the outcome; each is there once."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(options.PROFILES, "quick", 1)
    (tmp_path / "mine.py").write_text(MINE)
    one = ["mine.py:max_pool1d", "mine.py:correlate", "--seed=1", "--dtype=float32", "--dtype=float64"]
    two = ["--dtype=float64", "--dtype=float32", "--seed=2", "mine.py:correlate", "mine.py:max_pool1d"]
    assert cli.main(["check", "--in-process", "--junit=one.xml", *one]) == 1
    assert cli.main(["check", "--in-process", "--junit=two.xml", *two]) == 1
    capfd.readouterr()
    names = _names("one.xml")
    assert sorted(names) == sorted(_names("two.xml")) and len(set(names)) == len(names) > 50
    assert ("mine.py.correlate", CENTRAL) in names


class _Ids:
    def pytest_collection_finish(self, session):
        self.found = [item.nodeid for item in session.items]


def test_ids_do_not_depend_on_the_order_of_targets(tmp_path, monkeypatch, capfd):
    """Those of pytest, as docs/github-actions.md has them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(MINE)
    targets, found = ["mine.py:max_pool1d", "refconv-direct", "mine.py:correlate"], []
    for order in (targets, targets[::-1]):
        ids = _Ids()
        chosen = [f"--impl={target}" for target in order]
        pytest.main([str(cli.properties_folder()), "--collect-only", "-q", "--in-process", *chosen], plugins=[ids])
        found.append(ids.found)
    capfd.readouterr()
    assert set(found[0]) == set(found[1]) and len(set(found[0])) == len(found[0]) > 100
    assert f"test_oracle.py::test_{CENTRAL}[mine.py-correlate]" in found[0]
    assert f"test_oracle.py::test_{CENTRAL}[refconv-direct-correlate]" in found[0]


def test_an_unwritable_file_is_found_before_the_run(tmp_path, monkeypatch, capfd):
    """As with the other reports."""
    monkeypatch.chdir(tmp_path)
    assert cli.main(["check", "refconv-direct", "--junit", "no/v.xml"]) == 4
    out, err = capfd.readouterr()
    assert out == "" and err.startswith("refconv: --junit is 'no/v.xml', but cannot be written")
