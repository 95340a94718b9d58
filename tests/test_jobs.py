"""`--jobs`: several processes find what one finds, in its order; one that is lost is a fault of refconv's own."""

import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from refconv import cli
from refconv.dtypes import numpy_dtype
from refconv.judge import Violation
from refconv.spec import OPERATIONS, Case

# Right, wrong, and one that fails.
SUBJECT = """
import numpy as np, refconv
def max_pool1d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    return refconv.max_pool1d(input, kernel_size, stride, padding, dilation, ceil_mode)
def convolve(in1, in2, mode="full"):
    print("so wrong")
    return np.zeros_like(refconv.convolve(in1, in2, mode))
def correlate(in1, in2, mode="full"):
    print("so it fails")
    return 1 / 0
"""
SLOW = """
import time
def convolve(in1, in2, mode="full"):
    open("called", "w").close()
    time.sleep(0.05)
    raise NotImplementedError
max_pool1d = convolve
"""

OPTIONS = ["mine.py", "--seed=3", "--dtype=float32"]


def _run(folder, *arguments):
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])}
    return subprocess.run(
        [sys.executable, "-m", *arguments], capture_output=True, text=True, cwd=folder, env=environment, timeout=120
    )


def _timeless(found):
    if isinstance(found, dict):
        return {name: _timeless(value) for name, value in found.items() if name != "seconds"}
    return [_timeless(value) for value in found] if isinstance(found, list) else found


@pytest.fixture(scope="module")
def one_process(tmp_path_factory):
    """What one process prints and writes of the subject, and the folder of the subject."""
    folder = tmp_path_factory.mktemp("one")
    (folder / "mine.py").write_text(SUBJECT)
    done = _run(folder, "refconv.cli", "check", *OPTIONS, "--json", "one.json")
    assert done.returncode == 1, done.stderr
    return done.stdout, _timeless(json.loads((folder / "one.json").read_text())), folder


def test_two_processes_find_what_one_finds(one_process):
    """The same report, records in the same order, exit code and folders of failures, for the same seed."""
    printed, found, folder = one_process
    shutil.rmtree(folder / "refconv-failures")  # what is known from it would be tried first
    done = _run(folder, "refconv.cli", "check", *OPTIONS, "--json", "two.json", "--jobs", "2")
    assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
    assert _timeless(json.loads((folder / "two.json").read_text())) == found
    timing = r"judged in [\d.]+ s|\(\d+ a second\)"
    assert re.sub(timing, "", done.stdout) == re.sub(timing, "", printed)
    assert printed.count("| so wrong") == 5 and printed.count("| so it fails") == 5  # each its own alone


def test_pytest_has_an_option_of_its_own(one_process):
    """`pytest properties -n 2` judges by operation too."""
    _, found, folder = one_process
    shutil.rmtree(folder / "refconv-failures", ignore_errors=True)
    options = ["-n", "2", "--impl", *OPTIONS, "--json=three.json", "--failures=refconv-failures"]
    done = _run(folder, "pytest", str(cli.properties_folder()), *options)
    assert done.returncode == 1 and "VERDICT: wrong" in done.stdout, done.stdout + done.stderr
    assert _timeless(json.loads((folder / "three.json").read_text())) == found


def test_what_is_sent_arrives_whole():
    """An operation is the one of its name; a violation keeps its case, and what it shares with what was drawn."""
    for operation in OPERATIONS.values():
        assert pickle.loads(pickle.dumps(operation)) is operation
    x = np.arange(4.0).astype(numpy_dtype("bfloat16")).reshape(1, 1, 4)
    case = Case(OPERATIONS["max_pool1d"], {"input": x}, {"kernel_size": 2}, "bfloat16", features=(("a", "b"),))
    sent = Violation("off", case, result="output", index=(0, 0, 1), got=np.float32(1), exact=2.0, allowed=0.0, of=2)
    sent.printed = "said"
    got, drawn = pickle.loads(pickle.dumps((sent, {"case": case})))
    assert str(got) == str(sent) and got.printed == "said" and got.case is drawn["case"]
    assert got.case.same(case) and got.case.features == case.features and got.case.shapes == case.shapes


@pytest.fixture
def started(tmp_path):
    """Starts a check in two processes that has begun to judge; all that belongs to it has a mark in its environment."""
    (tmp_path / "slow.py").write_text(SLOW)
    processes = []

    def start(*more):
        command = [sys.executable, "-m", "refconv.cli", "check", "slow.py", "--profile", "thorough", "--jobs", "2"]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1]), "REFCONV_TEST": str(tmp_path)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        processes.append(subprocess.Popen([*command, *more], cwd=tmp_path, env=environment, **pipes))
        deadline = time.monotonic() + 60
        while not (tmp_path / "called").exists() and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.5)
        return processes[0]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def _of(folder):
    """The command of each process with the mark, by its number."""
    found = {}
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if f"REFCONV_TEST={folder}".encode() in (path / "environ").read_bytes():
                found[int(path.name)] = (path / "cmdline").read_bytes()
        except OSError:
            continue
    return found


def test_an_interrupt_ends_all_of_them(started, tmp_path):
    """Exit code 2, what was found so far, and nothing is left behind."""
    process = started()
    assert len(_of(tmp_path)) >= 6  # the judge, two more, and a subject of each
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2, err
    assert out.startswith("VERDICT: not verified\n") and "found so far" in out
    assert "refconv: interrupted" in err and "Traceback" not in err
    assert not _of(tmp_path)


def test_a_lost_process_is_a_fault_of_ours(started, tmp_path):
    """Whatever ended it: exit code 3, whose fault it is, and nothing is called correct or wrong for it."""
    process = started("--operation", "convolve")
    judges = [number for number, command in _of(tmp_path).items() if b"exec(eval(" in command]
    assert judges
    for number in judges:
        os.kill(number, signal.SIGKILL)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 3, out + err
    assert out.startswith("VERDICT: not verified\n")
    assert "fault of refconv, not of the subject" in err and "convolve" in err


@pytest.mark.parametrize("text", ["0", "-1", "two", ""])
def test_a_number_of_processes_is_positive(capsys, text):
    """One clear line."""
    assert cli.main(["check", "torch", f"--jobs={text}"]) == 4
    out, err = capsys.readouterr()
    assert out == "" and len(err.splitlines()) == 1
    assert f"--jobs: is {text!r}, but must be an integer of at least 1" in err
