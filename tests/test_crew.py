"""Whoever judges the shards, and whoever of them is killed: the records are the same."""

import os
import signal
import threading
import time
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path

import pytest

from refconv import crew
from refconv.campaign import Plan, Shard, made_with, work
from refconv.campaign_command import SHARED, Campaign
from refconv.ledger import Ledger
from refconv.options import OPTIONS
from refconv.subject import TargetError

SHARDS = 6  # that are judged
# A shard that has called this subject is under way until there is a file `go`.
WAITS = """
import os, time, refconv
from pathlib import Path
HERE = Path(__file__).parent
def correlate(in1, in2, mode="full"):
    while not (HERE / "go").exists():
        (HERE / f"waits-{os.getpid()}").touch()
        time.sleep(0.01)
    return refconv.correlate(in1, in2, mode)
"""


def _campaign(folder, judges, path, in_process=True):
    """The first shards of a campaign on the subject of a file."""
    defaults = {flags[0][2:].replace("-", "_"): keywords.get("default", False) for flags, keywords in OPTIONS}
    options = {name: defaults[name] for name in SHARED} | {"in_process": in_process}
    plan = Plan(str(path), options, 1, made_with(str(path)), str(folder / "examples"))
    return Campaign(plan, folder, lambda work, jobs: judges(work, islice(jobs, SHARDS)), 1, None)


def _found(campaign):
    """What the records of shards on disk say, by shard."""
    records = [r for r in Ledger(campaign.folder, campaign.plan).records() if "shard" in r]
    return {Shard(**r["shard"]).name: r["found"] for r in records}


@pytest.fixture(scope="module")
def subject(tmp_path_factory):
    path = tmp_path_factory.mktemp("subject") / "mine.py"
    path.write_text(WAITS)
    return path


def _said(report):
    """What a report says but for how it was asked."""
    return {**report.as_json(), "plan": None}


def _kill_two(cluster, folder, killed):
    """Once all four workers have a shard under way, each with a process for the subject."""
    until = time.monotonic() + 120
    while len(list(folder.glob("waits-*"))) < 4 and time.monotonic() < until:
        time.sleep(0.02)
    for nanny in list(cluster.workers.values())[:2]:
        killed.append(nanny.pid)
        os.kill(nanny.pid, signal.SIGKILL)
    (folder / "go").touch()


@pytest.fixture(scope="module")
def alone(subject, tmp_path_factory):
    """All of it in this process."""
    (subject.parent / "go").touch()
    campaign = _campaign(tmp_path_factory.mktemp("alone"), crew.here, subject)
    return campaign, campaign.run()


def test_a_cluster_that_loses_two_workers_finds_the_same(subject, tmp_path, request):
    """Four worker processes of Dask, two of them killed in mid-run, against everything in this process."""
    from distributed import LocalCluster

    (subject.parent / "go").unlink(missing_ok=True)
    killed = []
    with LocalCluster(n_workers=4, threads_per_worker=1, dashboard_address=None, silence_logs=50) as cluster:
        many = _campaign(tmp_path, crew.cluster(cluster.scheduler_address), subject, in_process=False)
        killer = threading.Thread(target=_kill_two, args=(cluster, subject.parent, killed), daemon=True)
        killer.start()
        report = many.run()
    killer.join()
    assert len(killed) == 2 and not many.faults
    one, expected = request.getfixturevalue("alone")
    assert _found(many) == _found(one) and len(_found(one)) == SHARDS
    assert _said(report) == _said(expected)


def test_a_campaign_that_is_interrupted_goes_on(alone, subject, tmp_path):
    """Ctrl-C after some shards: the next run judges the others alone, and the records are those of one run."""

    def interrupted(work, jobs):
        yield from islice(crew.here(work, jobs), 4)
        raise KeyboardInterrupt

    first = _campaign(tmp_path, interrupted, subject)
    assert first.ended(first.run()) == 2
    again = []

    def counted(work, jobs):
        for job, outcome in crew.here(work, islice(jobs, SHARDS - 4)):
            again.append(job)
            yield job, outcome

    second = _campaign(tmp_path, counted, subject)
    report = second.run()
    one, expected = alone
    assert second.taken == 4 and len(again) == 2
    assert _found(second) == _found(one) and _said(report) == _said(expected)


def test_a_worker_that_differs_judges_nothing(alone):
    """It has other sources, so it would make other records."""
    campaign, _ = alone
    other = replace(campaign.plan, made_with={**campaign.plan.made_with, "revision": "0"})
    with pytest.raises(TargetError, match="worker differs from where the campaign was started: revision is '"):
        work(other, Shard("correlate", "a_call_does_not_remember_the_one_before", 0, 1))


def dies(folder, job):
    """Ends its process, `once` or always."""
    if job == "always" or (job == "once" and not (Path(folder) / job).exists()):
        (Path(folder) / job).touch()
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "fault":
        raise ZeroDivisionError("ours")
    return os.environ["OMP_NUM_THREADS"] if job == "once" else job


def test_a_process_that_is_killed_is_replaced(tmp_path, monkeypatch):
    """What it was at is done again, so often; a fault of ours is told, and ends nothing."""
    monkeypatch.setattr(crew, "ATTEMPTS", 2)
    jobs = iter(["once", "fault", "always", "last"])
    outcomes = dict(crew.processes(1)(partial(dies, str(tmp_path)), jobs))
    assert outcomes["once"] == "1" and outcomes["last"] == "last"
    assert "ZeroDivisionError: ours" in outcomes["fault"].said
    assert outcomes["always"] == crew.Ended("by signal 9")


def test_what_ends_its_worker_is_reported(subject, tmp_path):
    """And is no part of a verdict: the exit code is that of a fault."""

    def ends(work, jobs):
        yield from ((job, crew.Ended("by signal 9")) for job in islice(jobs, 1))

    campaign = _campaign(tmp_path, ends, subject)
    report = campaign.run()
    assert campaign.ended(report) == 3 and report.verdict.status == "not verified"
    assert report.remarks()[0].startswith("ENDS ITS WORKER: correlate/every_element_is_within")
