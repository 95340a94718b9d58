"""`refconv campaign` from outside: one finding for one fault, what it keeps, how it says what is wrong."""

import json
import random
from itertools import islice

import pytest

from refconv import campaign_command, cli, crew, options, reproduce
from refconv.campaign import Found, Plan
from refconv.campaign_report import Report
from refconv.ledger import Ledger

FAULTY = """
import refconv
def correlate(in1, in2, mode="full"):
    return refconv.convolve(in1, in2.conj(), mode)
"""
QUICK = ["--workers=0", "--in-process", "--shard=1"]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory):
    """A faulty subject, judged by the central law alone, with three seeds, one a shard."""
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "mine.py").write_text(FAULTY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setitem(options.PROFILES, "quick", 4)
        patch.setattr(crew, "here", _central(crew.here))
        code = cli.main(["campaign", "mine.py", "--seeds=3", "--json=found.json", "--html=found.html", *QUICK])
    return folder, code


def _central(judges):
    return lambda work, jobs: judges(work, (job for job in jobs if job.law.startswith("every_element")))


def _records(folder):
    plan = Plan(**{k: v for k, v in json.loads((folder / "campaign.json").read_text()).items() if k != "schema"})
    return plan, list(Ledger(folder, plan).records())


def test_a_fault_is_one_finding_however_many_shards_it_breaks(faulty):
    """With its diagnosis, the number of shards, its smallest case, and the folder that shows it."""
    folder, code = faulty
    assert code == 1
    (finding,) = json.loads((folder / "found.json").read_text())["findings"]
    assert (finding["kind"], finding["words"]) == ("flipped kernel", "reads `in2` backwards on every axis")
    assert finding["shards"] == 3
    operands = finding["smallest"]["violation"]["case"]["operands"]
    assert sum(len(o["values"]) for o in operands.values()) <= 3
    place = folder / "refconv-campaign" / finding["folder"]
    assert {path.name for path in place.iterdir()} == {reproduce.CALL, reproduce.OPERANDS, reproduce.SCRIPT}
    violation, _ = reproduce.replay(place, cli.properties_folder(), in_process=True)
    assert violation is not None
    drawn = (folder / "found.html").read_text()
    assert "What comes out" in drawn and "reads <code>in2</code> backwards" in drawn
    page = (folder / "refconv-campaign" / "report.md").read_text()
    assert page.startswith("### refconv: wrong") and page.count("found    by 3 shards") == 1


def _broken(operation, law, seed, kind="unknown", words="", elements=9):
    violation = {"seed": seed, "reason": "", "call": "", "elements": elements, "digest": f"{law}{seed}"}
    empty = {"reasons": {}, "dtypes": {}, "errors": {}, "features": [], "rows": [], "classes": []}
    found = {"chapter": "", "statement": "", "required": True, "status": "violated", "worst": None} | empty
    found |= dict.fromkeys(("cases", "accepted", "declined"), 1) | {"sensitivity": {"meant": {}, "caught": {}}}
    shard = {"operation": operation, "law": law, "start": seed, "stop": seed + 1}
    diagnosis = {"kind": kind, "words": words}
    return {"shard": shard, "found": {**found, "violation": violation}, "diagnosis": diagnosis, "seconds": 0}


def test_what_breaks_many_laws_in_one_way_is_one_finding():
    """Of an operation; without a diagnosis too, but what is not about values is apart. The central law shows it."""
    linear, upper, nan = (
        "convolution_is_linear_in_the_input",
        "zero_operand_leaves_the_bias",
        "a_nan_in_the_input_reaches_the_outputs_that_read_it",
    )
    central = "every_element_is_within_the_allowed_error"
    every = [
        _broken("conv1d", linear, 0, elements=2),
        _broken("conv1d", central, 1),
        _broken("conv1d", central, 2, elements=5),
        _broken("conv1d", nan, 0),
        _broken("conv2d", linear, 0),
        _broken("conv1d", linear, 1, "flipped kernel", "backwards"),
        _broken("conv1d", upper, 1, "flipped kernel", "backwards"),
    ]
    found = Found()
    for record in every:
        found.add(record)
    assert [(f.operation, f.kind, dict(f.laws), f.smallest.seed) for f in found.findings()] == [
        ("conv1d", "unknown", {linear: 1, central: 2}, 2),
        ("conv1d", "flipped kernel", {linear: 1, upper: 1}, 1),
        ("conv1d", "unknown", {nan: 1}, 0),
        ("conv2d", "unknown", {linear: 1}, 0),
    ]
    assert len(found.waiting()) == 4


def test_what_only_memory_knows_is_no_known_failure(faulty):
    """No shard is behind it, so no law is counted: it is shown all the same."""
    folder = faulty[0] / "refconv-campaign"
    plan, _ = _records(folder)
    known = {"operation": "correlate", "law": "every_element_is_within_the_allowed_error", "digest": "x"}
    found = Found()
    found.add({"remembered": {**known, "reason": "", "call": "", "elements": 1}})
    report = Report(plan, found, found.verdict(plan), found.findings(), folder, [])
    assert [report.expected(finding) for finding in report.findings] == [False]


def test_what_is_known_to_fail_does_not_decide(faulty, monkeypatch, capsys):
    """Nor is it shown as a finding; nothing is judged again for it. A name that no law has is a mistake."""
    folder, _ = faulty
    monkeypatch.chdir(folder)
    (folder / "known.toml").write_text('[[xfail]]\nlaw = "every_element*"\nreason = "issue 12"\n')
    again = ["campaign", "mine.py", "--seeds=3", "--xfails=known.toml", "--json=known.json", *QUICK]
    monkeypatch.setattr(crew, "here", lambda work, jobs: (job for job in ()))
    assert cli.main(again) == 5  # the other laws are still to be judged
    said = capsys.readouterr().out
    assert "issue 12" in said and "known: correlate: every element" in said and "1 finding" not in said
    (finding,) = json.loads((folder / "known.json").read_text())["findings"]
    assert finding["expected"] and finding["shards"] == 3
    (folder / "known.toml").write_text('[[xfail]]\nlaw = "every_elephant"\nreason = "issue 12"\n')
    assert cli.main(again) == 4


def test_records_add_up_in_any_order(faulty):
    """And one that comes twice counts once."""
    folder = faulty[0] / "refconv-campaign"
    plan, records = _records(folder)
    said = set()
    for seed in range(3):
        found = Found()
        for record in random.Random(seed).sample(records, len(records)) + records[:2]:
            found.add(record)
        report = Report(plan, found, found.verdict(plan), found.findings(), folder, [])
        said.add(report.markdown() + json.dumps(report.as_json()))
    assert len(said) == 1 and [sum(kind in r for r in records) for kind in ("shard", "job")] == [3, 1]


def test_a_second_campaign_asks_first_what_broke_the_first(faulty, tmp_path, monkeypatch):
    """That is a record of its own: those of shards are the same as without."""
    folder, _ = faulty
    monkeypatch.chdir(folder)
    monkeypatch.setitem(options.PROFILES, "quick", 4)
    central = _central(crew.here)
    monkeypatch.setattr(crew, "here", lambda work, jobs: _interrupted(central(work, jobs)))
    examples = f"--examples={folder / 'refconv-campaign' / 'examples'}"
    assert cli.main(["campaign", "mine.py", "--seeds=1", examples, f"--folder={tmp_path}", *QUICK]) == 2
    _, first = _records(folder / "refconv-campaign")
    _, second = _records(tmp_path)
    assert any("remembered" in record for record in second)
    (shard,) = [r["found"] for r in second if "shard" in r]
    assert shard in [r["found"] for r in first if "shard" in r]


def _interrupted(outcomes):
    """The first outcome, then Ctrl-C."""
    yield from islice(outcomes, 1)
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], ["--time or --seeds", "--time 8h"]),
        (["--time=8y"], ["'8y'", "8h"]),
        (["--time=0s"], ["'0s'"]),
        (["--seeds=0"], ["'0'", "at least 1"]),
        (["--seeds=1", "--workers=-1"], ["'-1'", "at least 0"]),
        (["--seeds=1", "--workers=1", "--dask=x"], ["not allowed with"]),
        (["--seeds=1", "--dask=x", "--in-process"], ["--in-process", "--dask"]),
        (["--seeds=1", "--profile=slow"], ["'slow'", "quick"]),
        (["--seeds=1", "--seed=x"], ["'x'", "integer"]),
        (["--seeds=1", "--json=no/such/f.json"], ["no/such/f.json"]),
        (["--seeds=1", "--folder=.."], ["'..'", "must be empty or hold a campaign"]),
        (["--seeds=1", "--examples=redis://127.0.0.1:1"], ["redis://127.0.0.1:1", "cannot be reached"]),
        (["--seeds=1", "--dtype=float64"], ["another campaign", "dtype is [], not ['float64']", "another folder"]),
        (["--seeds=1", "--shard=2"], ["another campaign", "size is 1, not 2"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value and value[0].startswith("--") else "",
)
def test_a_mistake_is_one_line(faulty, monkeypatch, capsys, arguments, said):
    """A usage error; nothing is judged."""
    monkeypatch.chdir(faulty[0])
    workers = [] if any(a.startswith(("--workers", "--dask")) for a in arguments) else ["--workers=0"]
    process = [] if "--dask=x" in arguments else ["--in-process"]
    shard = [] if "--shard=2" in arguments else ["--shard=1"]
    assert cli.main(["campaign", "mine.py", *workers, *process, *shard, *arguments]) == 4
    captured = capsys.readouterr()
    assert not captured.out and len(captured.err.splitlines()) <= 2
    for words in said:
        assert words in captured.err


def test_another_revision_is_refused(faulty, monkeypatch, capsys):
    """Its records would not be of the same subject."""
    folder, _ = faulty
    monkeypatch.chdir(folder)
    made = dict(campaign_command.made_with(str(folder / "mine.py")), revision="another")
    monkeypatch.setattr(campaign_command, "made_with", lambda target: made)
    assert cli.main(["campaign", "mine.py", "--seeds=1", *QUICK]) == 4
    assert "not 'another'" in capsys.readouterr().err


def test_a_fault_of_ours_is_told(faulty, tmp_path, monkeypatch, capsys):
    """With an exit code of its own."""
    monkeypatch.chdir(faulty[0])
    monkeypatch.setattr(crew, "here", lambda work, jobs: ((job, crew.Fault("ZeroDivisionError")) for job in jobs))
    assert cli.main(["campaign", "mine.py", "--seeds=1", f"--folder={tmp_path}", *QUICK]) == 3
    assert "ZeroDivisionError\nthis is a fault of refconv" in capsys.readouterr().err


def test_time_that_is_up_hands_out_nothing(faulty, tmp_path, monkeypatch):
    """Too little is verified then; what was begun is brought to its end."""
    monkeypatch.chdir(faulty[0])
    assert cli.main(["campaign", "mine.py", "--time=0.000001s", f"--folder={tmp_path}", *QUICK]) == 5
