"""From records to a verdict, in words and as JSON from which every finding can be rebuilt."""

import io
import json
import math
import os
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

import refconv
from refconv import cli, judge, law, options, verdict
from refconv.claims import Claims
from refconv.dtypes import numpy_dtype
from refconv.judge import Violation
from refconv.law import Judged, Record
from refconv.report import terminal
from refconv.spec import OPERATIONS, Case
from refconv.strategies import Scope
from refconv.subject import Subject
from refconv.verdict import CENTRAL, EXIT_CODES, Verdict

SUBJECT = Subject("mine", {"conv2d": refconv.conv2d, "max_pool2d": refconv.max_pool2d})


def _record(name=CENTRAL, operation="conv2d", status="verified", required=True, **keywords):
    record = Record(name, "oracle", "It is so.", "mine", operation, required, status=status, **keywords)
    if status in ("violated", "absent"):
        record.violation = record.violation or Violation("wrong", _case())
    return record


def _case(n=2):
    op = OPERATIONS["conv2d"]
    x, w = np.ones((1, 1, n, n), np.float32), np.ones((1, 1, 1, 1), np.float32)
    return Case(op, {"input": x, "weight": w}, {"stride": (1, 2)}, "float32", "denseint", "strided")


OTHER = "images_do_not_mix"


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ([], "not verified"),
        ([_record()], "correct"),
        ([_record(), _record(OTHER)], "correct"),
        ([_record(), _record(OTHER, status="unverified")], "correct"),
        ([_record(), _record(OTHER, status="not applicable")], "correct"),
        ([_record(), _record(OTHER, status="violated")], "wrong"),
        ([_record(), _record(OTHER, status="absent", required=False)], "correct"),
        ([_record(status="unverified")], "not verified"),
        ([_record(status="unverified"), _record(OTHER)], "not verified"),
        ([_record(status="unverified"), _record(OTHER, status="violated")], "wrong"),
        ([_record(status="violated")], "wrong"),
        ([_record(OTHER)], "not verified"),
        ([_record(), _record(operation="max_pool2d")], "correct"),
        ([_record(), _record(operation="max_pool2d", status="unverified")], "not verified"),
        ([_record(), _record(OTHER, operation="max_pool2d")], "not verified"),
        ([_record(), _record(operation="max_pool2d", status="violated")], "wrong"),
    ],
)
def test_status(records, status):
    """Wrong beats all; correct needs the central law of every operation."""
    assert Verdict(SUBJECT, records).status == status
    assert EXIT_CODES[status] == {"correct": 0, "wrong": 1, "not verified": 5}[status]


def test_what_was_not_judged_to_the_end_is_not_correct():
    """Nor is it less wrong."""
    assert Verdict(SUBJECT, [_record()], complete=False).status == "not verified"
    assert Verdict(SUBJECT, [_record(status="violated")], complete=False).status == "wrong"


def test_records_go_to_their_subject():
    """Each subject has its verdict."""
    other = Subject("other", SUBJECT.functions)
    records = [_record(), Record(CENTRAL, "oracle", "", "other", "conv2d", True, status="violated")]
    assert [v.status for v in verdict.judge([SUBJECT, other], records, seed=3)] == ["correct", "wrong"]


def test_the_central_law_exists():
    """The law that decides is one of the laws."""
    texts = [path.read_text() for path in cli.properties_folder().glob("test_*.py")]
    assert sum(f"def test_{CENTRAL}(" in text for text in texts) == 1


def test_violations_in_order():
    """The central law first, then the smallest case."""
    large, small = Violation("a", _case(9)), Violation("b", _case(1))
    records = [
        _record("first", status="violated", violation=large),
        _record("second", status="violated", violation=small),
        _record(status="violated", violation=large),
    ]
    assert [r.law for r in Verdict(SUBJECT, records).violations] == [CENTRAL, "second", "first"]


# ------------------------------------------------------------------------------------------ in a terminal


def _shown(one, width=150, **keywords):
    file = io.StringIO()
    terminal.show(one, Console(file=file, width=width, highlight=False, **keywords))
    return file.getvalue()


def test_the_report_of_a_correct_subject():
    """Verdict first, then claim, table, characteristics."""
    subject = Subject("mine", SUBJECT.functions, Claims(algorithm="winograd(4,3)", deterministic=True))
    records = [_record(cases=30, accepted=30, worst=0.25), _record("bits", required=False), _record("b", required=True)]
    text = _shown(Verdict(subject, records, profile="quick", seed=7))
    assert text.startswith("VERDICT: correct\nmine against algorithm=winograd(4,3), deterministic=True; float32, ")
    assert "quick, seed 7" in text and "0.250" in text and "2/2" in text
    assert "characteristic: bits: holds\n" in text and "broken" not in text


def test_the_report_of_a_wrong_subject():
    """The reason, the case, its operands, and every law that is broken."""
    found = Violation(
        "off", _case(), result="output", index=(0, 0, 1, 1), got=2.0, exact=1.0, allowed=0.5, wrong=1, of=4
    )
    text = _shown(Verdict(SUBJECT, [_record(status="violated", violation=found), _record(OTHER, status="violated")]))
    for part in (
        "VERDICT: wrong",
        "conv2d: It is so.\noff\n",
        "at       output[0, 0, 1, 1]  (1 of 4 elements wrong)",
        "got      2.0\nexact    1.0\nallowed  0.5",
        "stride=(1, 2)",
        "input = [[[[1., 1.],",
        "2 laws broken:",
        "images do not mix: conv2d",
    ):
        assert part in text, part


def test_the_report_of_a_subject_that_declines():
    """Why nothing is verified: which laws, how often declined, with what reason; nothing is said to hold."""
    few = {"declined": 40, "cases": 40, "reasons": Counter({"no\x1b\nGPU": 30, "else": 10})}
    records = [_record(f"law_{i}", status="unverified", **few) for i in range(9)]
    records += [_record(status="unverified", **few), _record("bits", status="unverified", required=False)]
    text = _shown(Verdict(SUBJECT, records))
    assert text.count("too few calls were accepted") == 1 and "and 8 more laws" in text
    assert "too few calls were accepted for: every element is within the allowed error; law 0" in text
    assert "declined: conv2d: 400 calls, 300 of them: no" in text
    assert "characteristic: bits: not found out" in text
    assert "no law was judged" in _shown(Verdict(SUBJECT, []))


def test_what_does_not_apply_is_not_counted():
    """A law between two operations says nothing of a subject that has one of them."""
    records = [
        _record(),
        _record(OTHER, status="not applicable", cases=9, declined=9, reasons=Counter({"has no conv1d": 9})),
    ]
    text = _shown(Verdict(SUBJECT, records))
    assert "1/1" in text and "declined:" not in text and "not verified" not in text


@pytest.mark.parametrize(
    ("statuses", "said"),
    [
        (["verified"], "holds"),
        (["absent"], "does not hold"),
        (["verified", "absent"], "holds in part"),
        (["unverified"], "not found out"),
        (["unverified", "verified"], "holds"),
        (["unverified", "absent"], "does not hold"),
    ],
)
def test_characteristics_in_words(statuses, said):
    """What was found out, over all operations."""
    records = [_record(), *(_record("bits", status=s, required=False) for s in statuses)]
    assert f"characteristic: bits: {said}\n" in _shown(Verdict(SUBJECT, records))


def test_a_narrow_window_gets_a_narrow_table():
    """One column for all laws instead of one for each chapter."""
    records = [_record(operation=name) for name in ("conv2d", "max_pool2d")]
    for i, chapter in enumerate(("algebra", "agreement", "contract", "geometry", "gradients", "pooling", "special")):
        records.append(_record(f"law_{i}"))
        records[-1].chapter = chapter
    one = Verdict(SUBJECT, records)
    assert "gradients" in _shown(one) and "gradients" not in _shown(one, width=80)
    line = next(line for line in _shown(one, width=80).splitlines() if line.startswith("conv2d "))
    assert "8/8" in line and "…" not in line


def test_colour_is_for_terminals(monkeypatch):
    """And is left out where NO_COLOR is set."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    one = Verdict(SUBJECT, [_record(status="violated")])
    assert "\x1b" not in _shown(one)
    assert "\x1b[1;31mVERDICT: wrong" in _shown(one, force_terminal=True)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "31m" not in _shown(one, force_terminal=True)


# ----------------------------------------------------------------------------------------------- JSON


def test_numbers_that_json_has_not():
    """NaN and infinities are text, and nothing else is."""
    found = Violation(
        "off", _case(), result="output", got=math.nan, exact=-math.inf, allowed=np.float64(1.5), index=(0,)
    )
    found.case.operands["input"].flat[:3] = [np.nan, np.inf, -0.0]
    written = verdict.as_json([Verdict(SUBJECT, [_record(status="violated", violation=found, worst=math.inf)])])
    read = json.loads(json.dumps(written, allow_nan=False))
    record = read["verdicts"][0]["laws"][0]
    assert record["worst"] == "inf"
    assert [record["violation"][k] for k in ("got", "exact", "allowed")] == ["nan", "-inf", 1.5]
    values = record["violation"]["case"]["operands"]["input"]["values"]
    assert values[:2] == ["nan", "inf"] and math.copysign(1, values[2]) == -1 and values[3] == 1.0


def test_what_json_says_of_a_subject():
    """Schema, environment, claims, scope, effort."""
    subject = Subject("mine", SUBJECT.functions, scope=Scope(fix={"stride": (1, 2), "padding": "same"}), layout="NHWC")
    written = verdict.as_json([Verdict(subject, [_record()], seconds=1.23456, seed=5, profile="quick")])
    read = json.loads(json.dumps(written, allow_nan=False))
    assert read["schema"] == 1
    assert {"python", "numpy", "hypothesis", "refconv"} <= set(read["environment"])
    one = read["verdicts"][0]
    assert one["fix"] == {"stride": [1, 2], "padding": "same"}
    assert [one[k] for k in ("subject", "verdict", "complete", "layout", "array", "device", "seed", "profile")] == [
        "mine", "correct", True, "NHWC", "numpy", "cpu", 5, "quick"
    ]  # fmt: skip
    assert one["claims"]["algorithm"] == "direct" and one["coverage"]["conv2d"]["feasible"] > 100


def _rebuilt(written):
    """The case that JSON describes."""

    def number(value):
        return complex(value) if written["dtype"].startswith("complex") else float(value)

    operands = {
        name: np.array([number(v) for v in a["values"]]).reshape(a["shape"]).astype(numpy_dtype(written["dtype"]))
        for name, a in written["operands"].items()
    }
    arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in written["arguments"].items()}
    op = OPERATIONS[written["operation"]]
    return Case(op, operands, arguments, written["dtype"], written["family"], written["layout"])


WRONG = """
import numpy as np, refconv
def convolve(in1, in2, mode="full"):
    out = np.array(refconv.convolve(in1, in2, mode, method="direct"))
    return out * out.dtype.type(1.125)
"""


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "complex64"])
def test_a_violation_can_be_rebuilt(tmp_path, monkeypatch, capfd, dtype):
    """From the file alone: the same case breaks the law again, at the same place, by as much."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(options.PROFILES, "quick", 1)
    Path("subject.py").write_text(WRONG)
    os.umask(mask := os.umask(0))
    assert cli.main(["check", "subject.py", "--json", "v.json", "--dtype", dtype, "--seed", "4"]) == 1
    capfd.readouterr()
    assert sorted(p.name for p in tmp_path.iterdir() if p.suffix) == ["subject.py", "v.json"]
    assert Path("v.json").stat().st_mode & 0o777 == 0o666 & ~mask
    read = json.loads(Path("v.json").read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    (one,) = read["verdicts"]
    found = next(r["violation"] for r in one["laws"] if r["law"] == CENTRAL)
    case = _rebuilt(found["case"])
    (subject, _), *_ = options.subjects(["subject.py"], _options(**{k: one[k] for k in ("array", "device", "layout")}))
    with pytest.raises(Violation) as again:
        judge.within(Judged(subject, case.operation)(case), case, Claims(**one["claims"]))
    for name in ("reason", "result", "got", "exact", "allowed", "wrong", "of"):
        assert getattr(again.value, name) == found[name], name
    assert list(again.value.index) == found["index"]


def _options(**said):
    defaults = {flags[0][2:].replace("-", "_"): k.get("default", False) for flags, k in options.OPTIONS}
    return lambda name: {**defaults, **said}[name]


def test_the_file_is_written_whole_or_not(tmp_path, monkeypatch, capfd):
    """A file that is there is replaced at the end, through links; a device is written to, not replaced."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(law.Law, "run", lambda self, judged, name, chapter: _own(self, judged, name))
    Path("real.json").write_text("old")
    Path("link.json").symlink_to("real.json")
    assert cli.main(["check", "refconv", "--operation", "conv2d", "--json", "link.json"]) == 0
    assert Path("link.json").is_symlink() and json.loads(Path("real.json").read_text())["schema"] == 1
    assert cli.main(["check", "refconv", "--operation", "conv2d", "--json", "/dev/null"]) == 0
    assert Path("/dev/null").is_char_device()
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    before = Path("real.json").read_text()
    assert cli.main(["check", "refconv", "--operation", "conv2d", "--json", "real.json"]) == 4
    out, err = capfd.readouterr()
    assert "VERDICT: correct" in out and "No space left" in err and "Traceback" not in err
    assert Path("real.json").read_text() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["link.json", "real.json"]


def _own(rule, judged, name):
    required = rule.required(judged.subject.claims)
    return Record(name, "chapter", "", judged.subject.name, judged.operation.name, required, status="verified")
