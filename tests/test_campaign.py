"""The campaign counts what verdicts say, goes on where it was stopped, and fails when one accuses."""

import json
import re
import sys

import pytest

from tests import campaign


def _verdict(path, *laws):
    path.write_text(json.dumps({"verdicts": [{"laws": list(laws)}]}))


def _law(accepted, dtypes, status="verified", required=True):
    return {"law": "one", "required": required, "status": status, "accepted": accepted, "dtypes": dtypes}


def _main(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["campaign", *map(str, arguments)])
    code = campaign.main()
    return code, capsys.readouterr().out


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """Two targets and two seeds of a revision, judged before."""
    monkeypatch.setattr(campaign, "TARGETS", ["one", "other-one"])
    (tmp_path / "revision").write_text("abc")
    for target in ("one", "other-one"):
        for seed in (1, 2):
            _verdict(tmp_path / f"{target}-{seed}.json", _law(1000, {"float32": 600, "float64": 400}), _law(5, {}))
    return tmp_path


def test_cases_are_counted_by_target_and_dtype(judged, monkeypatch, capsys):
    """Over seeds and laws; those of another revision are counted, and no verdict is added to them."""
    code, said = _main(monkeypatch, capsys, judged, "--seeds", 2)
    assert code == 0 and "abc, and this is" in said
    assert "| other-one | 0 | 0 | 2 010 | 1 200 | 800 |" in said
    assert "| all | 0 | 0 | 4 020 | 2 400 | 1 600 |" in said


def test_an_accusation_fails_the_campaign(judged, monkeypatch, capsys):
    """A required law that is violated; a characteristic that is absent is no accusation."""
    _verdict(judged / "one-2.json", _law(7, {}, "violated"), _law(3, {}, "unverified"), _law(2, {}, "absent", False))
    code, said = _main(monkeypatch, capsys, judged, "--seeds", 2)
    assert code == 1 and "| one | 1 | 1 | 1 017 | 600 | 400 |" in said


def test_only_what_is_missing_is_judged(judged, monkeypatch, capsys):
    """With the same revision the campaign goes on."""
    asked = []

    def run(command, **options):
        asked.append(command[4:9])
        _verdict(judged / "one-3.json", _law(1, {}))
        _verdict(judged / "other-one-3.json", _law(1, {}))
        return type("Done", (), {"stdout": "VERDICT: correct\n", "stderr": ""})

    monkeypatch.setattr(campaign, "revision", lambda: "abc")
    monkeypatch.setattr(campaign.subprocess, "run", run)
    _main(monkeypatch, capsys, judged, "--seeds", 3, "--jobs", 1, "--profile", "quick")
    assert asked == [["one", "--profile", "quick", "--seed", "3"]]


def test_a_table_goes_in_front_of_those_of_other_revisions():
    """And takes the place of one of its own."""
    old, new = ("## Revision {}\n\n| all | {} |\n".format(*row) for row in (("abc", 1), ("def", 2)))
    first = campaign.page(old, campaign.PREFACE)
    both = campaign.page(new, first)
    assert first == f"{campaign.PREFACE}\n{old}" and both == f"{campaign.PREFACE}\n{new}\n{old}"
    assert campaign.page(new.replace("2", "3"), both) == both.replace("| 2 |", "| 3 |")


def test_the_page_counts_a_million_and_no_violation():
    """What CAMPAIGN.md says in the end: every target, none accused or left open."""
    text = campaign.PAGE.read_text()
    assert text.startswith(campaign.PREFACE)
    assert set(campaign.TARGETS) <= set(re.findall(r"^\| ([\w-]+) \|", text, re.M))
    sums = re.findall(r"^\| all \| (\d+) \| (\d+) \| ([\d ]+) \|", text, re.M)
    assert {row[:2] for row in sums} == {("0", "0")}
    assert sum(int(cases.replace(" ", "")) for *_, cases in sums) >= 1_000_000
