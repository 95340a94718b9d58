"""A subject in a process of its own can neither bring the judge down nor fool it, and leaves nothing behind."""

import gc
import os
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import refconv
from refconv.diagnosis.search import diagnose
from refconv.isolation import Ended, Isolated, Limits, isolated
from refconv.law import Effort, Judged
from refconv.spec import OPERATIONS, Case
from refconv.subject import Declined, Failure, Subject, TargetError
from tests import score

HOSTILE = sorted((Path(__file__).parent / "hostile").glob("*.py"))
LIMITS = Limits(timeout=1.0, memory=1 << 30)
CASE = Case(
    OPERATIONS["max_pool1d"], {"input": np.arange(6, dtype=np.float32).reshape(1, 1, 6)}, {"kernel_size": 2}, "float32"
)


def _subject(path, limits=LIMITS):
    (one,) = isolated([str(path)], limits)
    assert isinstance(one, Isolated)
    return one


def _first_violation(one):
    """Of the oracle and the contract, on a few cases each; without one, the oracle's cases were accepted."""
    judged = Judged(one, OPERATIONS["max_pool1d"], Effort(examples=16, shrinks=False))
    for rule in score.laws():
        if rule.__module__ in ("test_oracle", "test_contract") and rule.kind in ("operation", "batched"):
            record = rule.run(judged)
            if record.status == "violated":
                return record.violation, judged
            if rule.__name__ == "test_every_element_is_within_the_allowed_error":
                assert record.status == "verified", record.reasons
    return None, judged


def _left(mark):
    """Processes that were started with the mark in their environment, this one aside."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        if mark.encode() in text:
            found.add(int(path.parent.name))
    return found - {os.getpid()}


def _shared():
    """How many files of shared memory this process holds."""
    held = 0
    for path in Path("/proc/self/fd").iterdir():
        try:
            held += "memfd:refconv" in str(path.readlink())
        except OSError:
            continue
    return held


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: path.stem)
def test_hostile_subjects_get_the_right_verdict(path, monkeypatch):
    """For the right reason, within the time limit of a few calls, and with nothing left behind."""
    (reason,) = re.findall(r"^Reason: (.+)$", path.read_text(), re.M)
    mark = f"REFCONV_TEST={os.getpid()}-{path.stem}"
    monkeypatch.setenv(*mark.split("="))
    memory, seterr, cwd = _shared(), np.geterr(), Path.cwd()
    one, started = _subject(path), time.monotonic()
    violation, judged = _first_violation(one)
    if reason == "none":
        assert violation is None, violation
    else:
        assert violation is not None and re.search(reason, violation.reason), violation
        assert violation.reason.isprintable()
    if said := re.findall(r"^Diagnosis: (.+)\.$", path.read_text(), re.M):
        assert diagnose(violation, judged).kind == said[0]
    assert time.monotonic() - started < 30
    one.process.stop()
    assert not _left(mark)
    del one, judged, violation
    gc.collect()
    assert _shared() <= memory
    assert (np.geterr(), Path.cwd()) == (seterr, cwd)


def test_what_is_left_behind_would_be_seen(monkeypatch):
    """The process and the shared memory of a subject, as long as it is there."""
    mark = f"REFCONV_TEST={os.getpid()}-seen"
    monkeypatch.setenv(*mark.split("="))
    memory = _shared()
    one = _subject(Path(__file__).parent / "mutants" / "right" / "tap_by_tap.py")
    assert _left(mark) and _shared() > memory
    one.process.stop()
    assert not _left(mark)


KILLED = """
import signal, sys
from refconv.isolation import Limits, isolated
from tests.test_isolation import CASE
(one,) = isolated([sys.argv[1]], Limits())
print("loaded", flush=True)
one.call(CASE)
"""


def test_a_judge_that_is_killed_leaves_no_subject_behind(monkeypatch):
    """Not even one that does not come back."""
    mark = f"REFCONV_TEST={os.getpid()}-killed"
    monkeypatch.setenv(*mark.split("="))
    command = [sys.executable, "-c", KILLED, str(Path(__file__).parent / "hostile" / "infinite_loop.py")]
    with subprocess.Popen(command, cwd=Path(__file__).parents[1], stdout=subprocess.PIPE, text=True) as judge:
        assert judge.stdout.readline() == "loaded\n"
        time.sleep(0.2)
        assert len(_left(mark)) >= 3  # judge, keeper, subject
        judge.kill()
    deadline = time.monotonic() + 20
    while _left(mark) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _left(mark)


def test_a_process_that_ends_between_two_calls_is_noticed(tmp_path):
    """What the first call broke shows at the second, whichever it is."""
    file = tmp_path / "late.py"
    file.write_text(
        "import os, threading, refconv\n"
        "def max_pool1d(input, kernel_size, **more):\n"
        "    threading.Timer(0.2, os._exit, (3,)).start()\n"
        "    return refconv.max_pool1d(input, kernel_size, **more)\n"
    )
    one = _subject(file)
    one.call(CASE)
    one.process.running.wait(20)
    with pytest.raises(Ended, match="ended its process with exit code 3 between two calls"):
        one.call(CASE)
    assert one.call(CASE).results["output"].shape == (1, 1, 3)


def test_there_are_enough():
    """Those that the field reports, and more."""
    assert len(HOSTILE) >= 25


def test_a_crash_is_shrunk_and_the_next_call_finds_a_new_process(tmp_path, monkeypatch):
    """The smallest input that ends the process, however slow the machine; other calls are judged as before."""
    monkeypatch.setattr("refconv.law.PATIENCE", 300.0)
    file = tmp_path / "fragile.py"
    file.write_text(
        "import os, refconv\n"
        "def max_pool1d(input, kernel_size, **more):\n"
        "    print('about to')\n"
        "    if input.shape[-1] > 2: os._exit(3)\n"
        "    return refconv.max_pool1d(input, kernel_size, **more)\n"
    )
    one = _subject(file)
    with pytest.raises(Ended, match="ended its process with exit code 3"):
        one.call(CASE)
    small = CASE.with_operands(input=CASE.operands["input"][..., :2].copy())
    assert one.call(small).results["output"].item() == 1
    (rule,) = [r for r in score.laws() if r.__name__ == "test_every_element_is_within_the_allowed_error"]
    record = rule.run(Judged(one, OPERATIONS["max_pool1d"], Effort(examples=8)))
    assert record.status == "violated" and "exit code 3" in record.violation.reason
    small = record.violation.case.operands["input"]
    assert small.shape[-1] == 3 and small.size <= 3
    assert one.printed.endswith("about to\n")
    one.listen()
    assert one.printed == ""


def test_results_and_operands_are_those_of_the_judges_own_process():
    """In every layout and dtype, forward and backward, what comes back is what a call here gives."""
    (one,) = isolated(["refconv:max_pool2d", "refconv:conv1d_backward", "refconv:convolve"], Limits())
    rng = np.random.default_rng(0)
    for layout in ("contiguous", "transposed", "strided", "inset", "read-only", "reversed"):
        for dtype in ("float32", "float64", "float16"):
            x = rng.integers(-9, 9, (2, 3, 5, 7)).astype(dtype)
            case = Case(OPERATIONS["max_pool2d"], {"input": x}, {"kernel_size": (2, 3)}, dtype, layout=layout)
            call = one.call(case)
            assert np.array_equal(call.results["output"], refconv.max_pool2d(x, (2, 3)))
            assert np.array_equal(call.handed["input"], x) and not call.shared
        shapes = {"grad_output": (2, 4, 3), "input": (2, 3, 5), "weight": (4, 3, 3)}
        operands = {name: rng.integers(-9, 9, shape).astype(np.float64) for name, shape in shapes.items()}
        case = Case(OPERATIONS["conv1d_backward"], operands, {}, "float64", layout=layout)
        for got, want in zip(one.call(case).results.values(), refconv.conv1d_backward(*operands.values()), strict=True):
            assert np.array_equal(got, want)
    signal = {"in1": rng.normal(size=5) + 1j, "in2": rng.normal(size=3) + 0j}
    case = Case(OPERATIONS["convolve"], signal, {}, "complex128")
    here = Subject("here", {"convolve": refconv.convolve}).call(case)
    assert one.call(case).results["output"].tobytes() == here.results["output"].tobytes()


def test_pytorch_in_another_process():
    """Tensors, gradients by its own differentiation, channels last, and values overwritten in place."""
    (one,) = isolated(["torch"], Limits())
    assert one.array == "torch" and OPERATIONS["conv2d_backward"] in one.operations
    x, w = np.ones((1, 2, 4, 4), np.float32), np.ones((3, 2, 3, 3), np.float32)
    case = Case(OPERATIONS["conv2d"], {"input": x, "weight": w}, {"padding": 1}, "float32")
    first = one.call(case, keep=True)
    assert np.array_equal(first.results["output"], refconv.conv2d(x, w, padding=1))
    twice = one.call(case.with_operands(input=2 * x), first)
    assert np.array_equal(twice.results["output"], refconv.conv2d(2 * x, w, padding=1))
    assert np.array_equal(twice.handed["input"], 2 * x)
    backward = Case(OPERATIONS["conv2d_backward"], {"grad_output": x[:, :1].repeat(3, 1), "input": x, "weight": w},
                    {"padding": 1}, "float32")  # fmt: skip
    assert set(one.call(backward).results) == {"grad_input", "grad_weight", "grad_bias"}


def test_what_a_subject_says_of_itself_is_kept(tmp_path):
    """Claims, operations and names; errors of loading are those of loading here."""
    file = tmp_path / "claiming.py"
    file.write_text("def conv1d(input, weight): ...\nconv1d.refconv = {'algorithm': 'fft'}\n")
    (one,) = isolated([str(file)], Limits())
    assert one.claims.algorithm == "fft" and [op.name for op in one.operations] == ["conv1d"]
    with pytest.raises(TargetError, match="there is no file"):
        isolated([str(tmp_path / "nothing.py")], Limits())
    file.write_text("import os\nos._exit(9)\n")
    with pytest.raises(TargetError, match="fails on import: ended its process with exit code 9"):
        isolated([str(file)], Limits())
    file.write_text("print('loading')\nraise SystemExit\n")
    with pytest.raises(TargetError, match="fails on import: SystemExit"):
        isolated([str(file)], Limits())


def test_refusals_and_impossible_calls(tmp_path):
    """NotImplementedError declines; what an impossible call raises is an exception, not a result."""
    file = tmp_path / "picky.py"
    file.write_text(
        "def max_pool1d(input, kernel_size):\n"
        "    if kernel_size > 1: raise NotImplementedError('only 1')\n"
        "    if kernel_size < 1: raise ZeroDivisionError('none')\n"
        "    return input.copy()\n"
    )
    one = _subject(file)
    with pytest.raises(Declined, match="only 1"):
        one.call(CASE)
    with pytest.raises(Exception, match="NotImplementedError: only 1"):
        one.attempt(CASE)
    zero = Case(CASE.operation, CASE.operands, {"kernel_size": 0}, "float32")
    with pytest.raises(Exception, match="ZeroDivisionError: none"):
        one.attempt(zero)
    with pytest.raises(Failure, match="raised ZeroDivisionError"):
        one.call(zero)


def test_a_verdict_survives_a_subject_that_ends_its_process(tmp_path):
    """The whole of `refconv check`: wrong, why, what it printed, exit code 1."""
    file = tmp_path / "crash.py"
    file.write_text("import os\ndef max_pool1d(input, kernel_size, **more):\n    print('last words')\n    os.abort()\n")
    command = [sys.executable, "-m", "refconv.cli", "check", str(file)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.returncode == 1 and done.stdout.startswith("VERDICT: wrong"), done.stdout + done.stderr
    assert "ended its process by SIGABRT" in done.stdout and "last words" in done.stdout
    assert "what     crash" in done.stdout
    assert "is not called again" in done.stdout


def test_a_subject_is_made_new(tmp_path):
    """It forgets all calls; the last ones are known until then."""
    file = tmp_path / "counts.py"
    file.write_text(
        "import refconv\n"
        "calls = []\n"
        "def max_pool1d(input, kernel_size, **more):\n"
        "    calls.append(1)\n"
        "    return refconv.max_pool1d(input, kernel_size, **more) + len(calls)\n"
    )
    one = _subject(file)
    got = [one.call(CASE).results["output"][0, 0, 0] for _ in range(2)]
    assert [call is CASE for call in one.history] == [True, True]
    assert one.renewed() and not one.history
    assert [*got, one.call(CASE).results["output"][0, 0, 0]] == [2.0, 3.0, 2.0]
    assert not Subject("here", {}).renewed()  # nothing of a module in this process can be taken back


def test_a_violation_that_needs_other_calls_names_them(tmp_path, monkeypatch):
    """A subject that keeps the first kernel it sees is wrong after one other call, and the report says which."""
    monkeypatch.setattr("refconv.law.PATIENCE", 300.0)  # each try has a new process, which takes long on a busy machine
    file = tmp_path / "keeps.py"
    file.write_text(
        "import refconv\n"
        "kept = {}\n"
        "def conv1d(input, weight, bias=None, **more):\n"
        "    return refconv.conv1d(input, kept.setdefault(weight.shape, weight.copy()), bias, **more)\n"
    )
    (rule,) = [r for r in score.laws() if r.__name__ == "test_every_element_is_within_the_allowed_error"]
    record = rule.run(Judged(_subject(file), OPERATIONS["conv1d"], Effort(examples=40)))
    violation = record.violation
    assert record.status == "violated" and len(violation.before) == 1
    (before,) = violation.before
    assert before.operands["weight"].shape == violation.case.operands["weight"].shape
    assert f"after    {before!r}\n" in str(violation) and "not on every call" not in str(violation)


def test_a_process_that_lost_its_device_is_not_called_again(tmp_path, monkeypatch):
    """The call that lost it failed; the next one has a new process, where the device is as it was."""
    file = tmp_path / "late.py"
    file.write_text(
        "import refconv, refconv.subject\n"
        "def max_pool1d(input, kernel_size):\n"
        "    if input.shape[2] == 6:\n"
        "        refconv.subject.Subject.hand_over = None  # from now on nothing can be put on the device\n"
        "        raise RuntimeError('illegal memory access')\n"
        "    return refconv.max_pool1d(input, kernel_size)\n"
    )
    one = replace(_subject(file), device="elsewhere")
    with pytest.raises(Failure, match="raised RuntimeError, and lost the device: illegal memory access"):
        one.call(CASE)
    shorter = replace(CASE, operands={"input": CASE.operands["input"][:, :, :4]})
    assert one.call(shorter).results["output"].tolist() == [[[1.0, 3.0]]]
