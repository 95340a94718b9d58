"""The verdicts as JUnit XML, which continuous integration reads: a suite a subject, a test case a law and operation.

The elements and attributes are those that Jenkins' schema (junit-10.xsd) and its like agree on.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from collections.abc import Sequence

from refconv.law import Record
from refconv.report.terminal import claim, evidence, remarks
from refconv.verdict import Verdict, environment

__all__ = ["document"]

_NOT_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # [XML 1.0, section 2.2]


def document(verdicts: Sequence[Verdict]) -> str:
    """The whole file. What is skipped, was declined or does not decide carries the reason."""
    suites = [_suite(v) for v in verdicts]
    counts = {name: str(sum(int(s.attrib[name]) for s in suites)) for name in ("tests", "failures", "errors")}
    seconds = max((v.seconds for v in verdicts), default=0.0)
    root = ET.Element("testsuites", {"name": "refconv", **counts, "time": f"{seconds:.3f}"})
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode")


def _suite(v: Verdict) -> ET.Element:
    cases = [_case(v, record) for record in v.records]
    if v.status == "not verified":  # no law says so, and nothing would be red
        cases.append(_testcase(v.subject.name, "verdict", 0.0))
        ET.SubElement(cases[-1], "error", _clean(message=v.status, type=v.status)).text = _text("\n".join(remarks(v)))
    counts = {
        name: str(sum(case.find(kind) is not None for case in cases))
        for name, kind in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped"))
    }
    about = {"name": v.subject.name, "tests": str(len(cases)), **counts, "time": f"{v.seconds:.3f}"}
    suite = ET.Element("testsuite", _clean(**about))
    properties = ET.SubElement(suite, "properties")
    for name, value in _properties(v):
        ET.SubElement(properties, "property", _clean(name=name, value=value))
    suite.extend(cases)
    return suite


def _properties(v: Verdict) -> list[tuple[str, str]]:
    rows = [("verdict", v.words), ("claim", claim(v)), ("profile", v.profile), ("seed", str(v.seed))]
    for (operation, dtype), rung in v.classes.items():
        rows.append((f"class.{operation}.{dtype}", "no known class" if rung is None else rung.words))
    rows += [("unexpected pass", f"{entry}: {entry.reason}") for entry in v.unexpected_passes]
    return rows + [(f"version.{name}", value) for name, value in environment().items()]


def _case(v: Verdict, r: Record) -> ET.Element:
    case = _testcase(f"{r.subject}.{r.operation}", r.law, r.seconds)
    if r.status == "violated" and not r.expected and r.violation is not None:
        kind = "violation" if r.diagnosis is None else r.diagnosis.kind
        failure = ET.SubElement(case, "failure", _clean(message=r.violation.reason, type=kind))
        failure.text = _text("\n".join(evidence(r)))
    elif reason := _skipped(r):
        ET.SubElement(case, "skipped", _clean(message=reason))
    printed = r.violation.printed if r.violation is not None else ""
    passes = [f"UNEXPECTED PASS: {x.reason}\n" for x in v.unexpected_passes if x.covers(r.operation, r.law)]
    if said := "".join([*passes, printed]):
        ET.SubElement(case, "system-out").text = _text(said)
    return case


def _testcase(classname: str, name: str, seconds: float) -> ET.Element:
    return ET.Element("testcase", _clean(classname=classname, name=name, time=f"{seconds:.3f}"))


def _skipped(r: Record) -> str:
    """Why the law neither holds nor fails; empty where it does."""
    if r.status == "verified":
        return ""
    if r.status == "violated":
        return f"known failure: {r.expected}"
    if r.status == "absent":
        return "a characteristic that does not hold, and is not claimed"
    most = r.reasons.most_common(1)
    return f"{r.status}: {r.declined} of {r.cases} calls were declined" + (f": {most[0][0]}" if most else "")


def _clean(**attributes: str) -> dict[str, str]:
    return {name: _text(value) for name, value in attributes.items()}


def _text(value: str) -> str:
    """Without the characters that XML has no place for, escaped or not."""
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", value)
