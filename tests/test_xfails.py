"""What is known to fail: read, held against the laws, run all the same, and told apart from what is new."""

import io
import json
import re
from collections import Counter

import pytest
from rich.console import Console

import refconv
from refconv import cli, options, verdict, xfails
from refconv.judge import Violation
from refconv.law import Record
from refconv.report import terminal
from refconv.subject import Subject, TargetError
from refconv.verdict import CENTRAL, EXIT_CODES, KNOWN, Verdict
from refconv.xfails import Xfail

OTHER = "images_do_not_mix"
SUBJECT = Subject("mine", {"conv2d": refconv.conv2d, "max_pool2d": refconv.max_pool2d})


def _record(name=CENTRAL, status="verified", expected="", operation="conv2d"):
    found = Violation("off") if status == "violated" else None
    return Record(name, "oracle", "", "mine", operation, True, status=status, expected=expected, violation=found)


# -------------------------------------------------------------------------------------------- the file

WRONG_FILES = {
    "xfail = 3": ["[[xfail]] tables"],
    "[xfail]\nlaw = 'x'": ["[[xfail]] tables"],
    "": ["[[xfail]] tables"],
    "[[xfail]]\nlaw = 'x'\nreason = 'y'\n[more]": ["[[xfail]] tables and nothing else"],
    "[[xfail]\n": ["not TOML", "line 1"],
    "[[xfail]]\nlaw = 'x'": ["entry 1", "no reason", 'reason = "'],
    "[[xfail]]\nlaw = 'x'\nreason = ' '": ["entry 1", "reason is ' '"],
    "[[xfail]]\nlaw = 'x'\nreason = 'y'\n[[xfail]]\nlaw = 3\nreason = 'y'": ["entry 2", "law is 3"],
    "[[xfail]]\nlaws = 'x'\nreason = 'y'": ["'laws'", "operation, law, reason"],
    "[[xfail]]\nreason = 'y'": ["neither an operation nor a law"],
}


@pytest.mark.parametrize("text", WRONG_FILES, ids=repr)
def test_a_file_of_another_form_is_refused(tmp_path, text):
    """Which entry, what is there and what must be, in one line."""
    (tmp_path / "x.toml").write_text(text)
    with pytest.raises(TargetError) as error:
        xfails.read(str(tmp_path / "x.toml"))
    said = str(error.value)
    assert said.startswith("--xfails") and "\n" not in said
    for part in WRONG_FILES[text]:
        assert part in said


def test_a_file_that_cannot_be_read(tmp_path):
    """Not there, a folder, or no text."""
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    for name, said in (("gone", "no such file"), (".", "directory"), ("bytes", "not TOML")):
        with pytest.raises(TargetError, match=said):
            xfails.read(str(tmp_path / name))
    assert xfails.read(None) == []


def test_entries(tmp_path):
    """What is left out is any; a law may be written as it is printed."""
    (tmp_path / "x.toml").write_text(
        "[[xfail]]\noperation = 'conv?d'\nreason = \"two\\nlines\"\n[[xfail]]\nlaw = 'images do not mix'\nreason = 'b'"
    )
    first, second = entries = xfails.read(str(tmp_path / "x.toml"))
    assert first == Xfail("conv?d", "*", "two lines") and second == Xfail("*", OTHER, "b")
    assert xfails.covering(entries, "conv2d", OTHER) is first
    assert xfails.covering(entries, "max_pool2d", OTHER) is second
    assert xfails.covering(entries, "max_pool2d", CENTRAL) is None


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (Xfail("conv4d", "*", ""), ["'conv4d'", "no operation", "conv3d"]),
        (Xfail("*", "images_mix", ""), ["'images_mix'", "no law", OTHER, CENTRAL]),
        (Xfail("max_pool2d", OTHER, ""), ["no law of such an operation", f"its laws are {CENTRAL}"]),
    ],
)
def test_an_entry_that_matches_nothing_is_refused(entry, said):
    """A known failure that was mistyped would be none."""
    pairs = [("conv2d", CENTRAL), ("conv2d", OTHER), ("max_pool2d", CENTRAL)]
    with pytest.raises(TargetError) as error:
        xfails.check([entry], pairs, [CENTRAL, OTHER])
    for part in said:
        assert part in str(error.value)


def test_what_is_not_judged_this_time_is_let_be():
    """One file serves every choice of --operation."""
    xfails.check([Xfail("conv3d", OTHER, "")], [("conv2d", CENTRAL)], [CENTRAL, OTHER])


# ----------------------------------------------------------------------------------------- the verdict


@pytest.mark.parametrize(
    ("records", "status"),
    [
        ([_record(), _record(OTHER, "violated", "known")], KNOWN),
        ([_record(status="violated", expected="known")], KNOWN),
        ([_record(status="violated", expected="known"), _record(OTHER, "violated")], "wrong"),
        ([_record(status="violated", expected="known"), _record(OTHER, "violated", operation="max_pool2d")], "wrong"),
        ([_record(status="violated", expected="known"), _record(OTHER, operation="max_pool2d")], "not verified"),
        ([_record(status="unverified", expected="known")], "not verified"),
        ([_record(OTHER, "violated", "known")], "not verified"),
        ([_record(expected="known")], "correct"),
    ],
)
def test_status(records, status):
    """A known failure does not make a verdict wrong, nor simply correct; all else counts as before."""
    one = Verdict(SUBJECT, records)
    assert one.status == status
    assert EXIT_CODES[status] == {"correct": 0, KNOWN: 0, "wrong": 1, "not verified": 5}[status]
    assert not {id(r) for r in one.known} & {id(r) for r in one.violations}


def test_an_interrupted_run_is_not_correct_but_for_anything():
    """What was not judged may be broken too."""
    assert Verdict(SUBJECT, [_record(status="violated", expected="known")], complete=False).status == "not verified"


@pytest.mark.parametrize(
    ("statuses", "fails"),
    [
        (["violated", "verified"], True),
        (["verified", "verified"], False),
        (["verified", "not applicable"], False),
        (["unverified"], None),
        ([], None),
    ],
)
def test_whether_an_entry_still_fails(statuses, fails):
    """One of its laws is enough; without one that was judged nobody knows."""
    entry = Xfail("conv*", OTHER, "why")
    records = [_record(), *(_record(OTHER, status, "why") for status in statuses)]
    one = Verdict(SUBJECT, records, xfails=[entry])
    assert one.still_fails(entry) is fails
    file = io.StringIO()
    terminal.show(one, Console(file=file, width=150))
    assert ("UNEXPECTED PASS" in file.getvalue()) == (fails is False)


def test_the_report():
    """The number in the first line, laws and operations by reason, nothing of it among what is broken."""
    records = [_record(), _record(status="violated", expected="not yet", operation="max_pool2d")]
    records += [_record(name, "violated", "slow sums") for name in ("a_b", "c_d", "e_f", "g_h")]
    file = io.StringIO()
    terminal.show(Verdict(SUBJECT, records), Console(file=file, width=150))
    text = file.getvalue()
    assert text.startswith("VERDICT: correct but for 5 known failures\n")
    assert "known failure: conv2d: a b; c d; e f and 1 more laws: slow sums\n" in text
    assert "known failure: max_pool2d: every element is within the allowed error: not yet\n" in text
    assert "broken:" not in text
    assert Verdict(SUBJECT, records[:2]).words == "correct but for 1 known failure"


# ------------------------------------------------------------------------------------- the whole of it

MINE = """
import numpy as np, refconv
def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    return refconv.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode)
def correlate(in1, in2, mode="full"):
    out = np.array(refconv.correlate(in1, in2, mode, method="direct"))
    return out * out.dtype.type(1.125)
"""
FILE = """
[[xfail]]
operation = "correlate"
reason = "scaled by 9/8, see issue 7"

[[xfail]]
operation = "max_pool1d"
law = "every element is within the allowed error"
reason = "was off once"
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(options.PROFILES, "quick", 4)
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "known.toml").write_text(FILE)
    return tmp_path


def test_a_check_with_known_failures(here, capfd):
    """Exit code 0, the reason with each, in JSON too; they are run, and kept in folders."""
    assert cli.main(["check", "mine.py", "--in-process", "--json", "v.json", "--xfails", "known.toml"]) == 0
    out, _ = capfd.readouterr()
    (broken,) = re.findall(r"^VERDICT: correct but for (\d+) known failures\n", out)
    assert "known failure: correlate: every element" in out and ": scaled by 9/8, see issue 7\n" in out
    assert "UNEXPECTED PASS: operation 'max_pool1d', law 'every_element_is_within_the_allowed_error'" in out
    (one,) = json.loads((here / "v.json").read_text())["verdicts"]
    assert one["verdict"] == KNOWN
    assert [x["still_fails"] for x in one["xfails"]] == [True, False]
    found = Counter((law["operation"], law["status"], law["expected"]) for law in one["laws"])
    assert found["correlate", "violated", "scaled by 9/8, see issue 7"] == int(broken)
    assert found["max_pool1d", "verified", "was off once"] == 1
    assert all(expected for (operation, _, expected) in found if operation == "correlate")
    assert (here / "refconv-failures").is_dir()


def test_what_is_new_is_wrong_and_made_small(here, capfd):
    """A known failure of an operation does not keep a new one from being shown with its smallest case."""
    (here / "known.toml").write_text(FILE.replace("[[xfail]]", "[[xfail]]\nlaw = 'every element*'", 1))
    assert cli.main(["check", "mine.py", "--in-process", "--xfails", "known.toml"]) == 1
    out, _ = capfd.readouterr()
    assert out.startswith("VERDICT: wrong\n") and "known failure: correlate: every element" in out
    case = re.search(r"case +correlate\(in1: \w+\[(\d+)\], in2: \w+\[(\d+)\]", out)
    assert case is not None and max(map(int, case.groups())) <= 2, out


@pytest.mark.parametrize("text", ["law = 'nothing'", "operation = 'conv4d'"])
def test_an_entry_for_nothing_is_a_usage_error(here, capfd, text):
    """One line, exit code 4, before anything is judged."""
    (here / "known.toml").write_text(f"[[xfail]]\n{text}\nreason = 'r'\n")
    assert cli.main(["check", "mine.py", "--in-process", "--xfails", "known.toml"]) == 4
    out, err = capfd.readouterr()
    assert out == "" and len(err.splitlines()) == 1 and "matches no" in err


def test_every_law_can_be_named():
    """Verdicts and files use the name of the function, and no law needs a wildcard's characters."""
    names = re.findall(
        r"^def test_(\w+)\(", "".join(p.read_text() for p in cli.properties_folder().glob("t*.py")), re.M
    )
    xfails.check([Xfail("*", name, "r") for name in names], [], names)
    assert len(names) == len(set(names)) > 60


def test_records_of_a_verdict_carry_their_reason():
    """As JSON: null where nothing was expected."""
    (one,) = verdict.as_json([Verdict(SUBJECT, [_record(), _record(OTHER, "violated", "r")])])["verdicts"]
    assert [law["expected"] for law in one["laws"]] == [None, "r"]
