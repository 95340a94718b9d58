"""Only verified work is timed, and only honest clocks are read: every way to cheat below is found."""

import json
import os
import re
from dataclasses import replace

import numpy as np
import pytest

from refconv import bench_command, cli
from refconv.bench import EXCERPTS, REACHED, _bytes, _case, _Contender, _flops, _hold_against_the_roof, bench, pinned
from refconv.clock import Reading
from refconv.files import write
from refconv.isolation import Limits, isolated
from refconv.peak import Peak
from refconv.report import speed
from refconv.spec import OPERATIONS, Case
from refconv.subject import load
from refconv.timing import ROUNDS, Ratio
from refconv.workloads import workloads

# Each is right when it is called first; what it does when it is timed is another matter.
CHEATS = '''
import sys, threading, time
import numpy as np
import refconv

def right(input, weight, **arguments):
    return refconv.conv2d(input, weight, **arguments)

calls, kept = {}, {}

def counted(name):
    calls[name] = calls.get(name, 0) + 1
    return calls[name]

def cached(input, weight, **arguments):
    """By shape, as if the same operands came again."""
    return kept.setdefault((input.shape, weight.shape), right(input, weight, **arguments))

def by_address(input, weight, **arguments):
    """By where the operands lie."""
    key = input.ctypes.data, weight.ctypes.data
    return kept.setdefault(key, right(input, weight, **arguments))

def zeros_at_times(input, weight, **arguments):
    """Nothing at all in the fifth call."""
    y = right(input, weight, **arguments)
    return np.zeros_like(y) if counted("zeros") == 5 else y

def half(input, weight, **arguments):
    """Half of the channels, once nobody seems to look."""
    y = right(input, weight, **arguments)
    if counted("half") > 1:
        y[:, ::2] = 0
    return y

def later(input, weight, **arguments):
    """The work is left to a thread."""
    y = right(input, weight, **arguments)
    if counted("later") == 1:
        return y
    out = np.zeros_like(y)
    threading.Thread(target=lambda: (time.sleep(0.05), np.copyto(out, y))).start()
    return out

class Lazy(np.ndarray):
    pass

def lazy(input, weight, **arguments):
    """An array of a class of its own, that could compute when it is read."""
    y = right(input, weight, **arguments)
    return y if counted("lazy") == 1 else y.view(Lazy)

def stopped(input, weight, **arguments):
    """The clock is another one."""
    import refconv.clock
    if counted("stopped") == 2:
        ticks = iter(range(10**9))
        refconv.clock.perf_counter = lambda: next(ticks) * 1e-7
    time.sleep(0.03)
    return right(input, weight, **arguments)

def backwards(input, weight, **arguments):
    """The clock runs backwards."""
    import refconv.clock
    if counted("backwards") == 2:
        ticks = iter(range(10**9))
        refconv.clock.perf_counter = lambda: -next(ticks)
    return right(input, weight, **arguments)

def flipped(input, weight, **arguments):
    """A plain mistake."""
    return right(input, weight[:, :, ::-1, ::-1], **arguments)

def writes(input, weight, **arguments):
    """Into its operand."""
    y = right(input, weight, **arguments)
    if counted("writes") > 1:
        input[0, 0, 0, 0] = 7
    return y

def declines(input, weight, **arguments):
    raise NotImplementedError("no such layer here")
'''
NAMES = [line.split()[1].partition("(")[0] for line in CHEATS.splitlines() if line.startswith("def ")]
TAMPERING = ("stopped", "backwards")
LENET = next(workloads(["lenet-c3"], (1,), ("float32",)))
LIMITLESS = Peak({"float32": 1e18, "float64": 1e18}, ((1, 1e18),))


@pytest.fixture(scope="module")
def subjects(tmp_path_factory):
    """All of them in one process, but for those that spoil its clock; the rival in another."""
    file = tmp_path_factory.mktemp("cheats") / "cheats.py"
    file.write_text(CHEATS)
    together = [name for name in NAMES if name not in ("counted", *TAMPERING)]
    with pinned(1):
        out = {"rival": isolated(["refconv"], Limits(30, 0))[0]}
        for names in (together, *([name] for name in TAMPERING)):
            found = isolated([f"conv2d={file}:{name}" for name in names], Limits(30, 0))
            out |= dict(zip(names, found, strict=True))
    return out


def _bench(subjects, name, peak=LIMITLESS, rounds=6, workload=LENET):
    return bench(subjects[name], {"refconv": subjects["rival"]}, [workload], lambda: peak, rounds=rounds)


def test_a_right_subject_is_timed(subjects):
    """Beside the rival, in as many rounds, with an interval of the ratio, a share of the roof, and JSON of all that."""
    told = []
    peak = Peak({"float32": 1e11}, ((1, 1e11),))
    found = bench(
        subjects["right"], {"refconv": subjects["rival"]}, [LENET], lambda: peak, rounds=6, progress=told.append
    )
    (row,) = found.rows
    assert (found.status, row.status, told) == ("timed", "timed", [LENET]), row.reason
    assert row.seconds.keys() == {"subject", "refconv"} and all(len(t) == 6 for t in row.seconds.values())
    one = row.ratios["refconv"]
    assert 0 < one.low <= one.median <= one.high
    assert row.share == pytest.approx(max(row.flops / 1e11, row.bytes / 1e11) / row.median)
    written = json.loads(json.dumps(speed.as_json(found), allow_nan=False))
    assert written["rows"][0]["speed"]["refconv"]["median"] == one.median
    assert len(written["rows"][0]["seconds"]["subject"]) == 6 and written["status"] == "timed"


CAUGHT = {
    "cached": "outside the allowed error",
    "by_address": "outside the allowed error",
    "zeros_at_times": "outside the allowed error",
    "half": "outside the allowed error",
    "lazy": "is only timed where it returns plain arrays",
    "later": "outside the allowed error|still being written",
    "backwards": "its clock says -1 seconds",
    "flipped": "outside the allowed error",
    "writes": "operand `input` was changed",
}


@pytest.mark.parametrize("name", CAUGHT)
def test_a_cheat_is_found(subjects, name):
    """And not timed: what it returned when its clock ran is what is judged."""
    found = _bench(subjects, name)
    (row,) = found.rows
    assert row.status == "wrong" and found.status == "refused" and not row.seconds
    assert re.search(CAUGHT[name], row.reason), row.reason
    assert name == "flipped" or "round" in row.reason


def test_a_clock_that_was_stopped_is_found(subjects):
    """By the time until the reply was here: beside the call it is as long as another's, or the clock is wrong."""
    cheat, honest = (_Contender(subjects[name], _case(LENET)) for name in ("stopped", "rival"))
    for one in (cheat, honest):
        one.time(_case(LENET))
    honest.beside = [0.01]
    assert max(cheat.seconds) < 0.001
    assert re.search("its clock says .* seconds, but its process took 0", cheat.lie([honest]))
    assert honest.lie([cheat]) == "" and cheat.lie([]) == ""


def test_every_cheat_is_tried():
    """None of them stands there for show."""
    assert set(NAMES) == {*CAUGHT, "stopped", "right", "counted", "declines"}


def test_what_is_declined_is_not_timed(subjects):
    """With the subject's own reason; nothing is left to time."""
    found = _bench(subjects, "declines")
    assert found.status == "nothing" and found.rows[0].status == "declined"
    assert found.rows[0].reason == "no such layer here"


def test_a_rival_that_is_wrong_is_left_out(subjects):
    """The subject is timed without it, and it is said."""
    found = bench(subjects["right"], {"other": subjects["flipped"]}, [LENET], lambda: LIMITLESS, rounds=6)
    (row,) = found.rows
    assert row.status == "timed" and not row.ratios
    assert row.absent["other"] == "wrong: `output` is outside the allowed error"


@pytest.mark.parametrize(
    ("peak", "what"),
    [(Peak({"float32": 1e6}, ((1, 1e18),)), "multiplies"), (Peak({}, ((1, 1e3),)), "moves memory")],
    ids=["product", "memory"],
)
def test_faster_than_the_machine_is_refused(subjects, peak, what):
    """A machine so slow that no honest kernel could be so fast; one that is a little slower is let pass."""
    found = _bench(subjects, "right", peak)
    (row,) = found.rows
    assert (row.status, found.status) == ("impossible", "refused")
    assert what in row.reason and "the work is not all done in that time" in row.reason and row.share > 1 / REACHED
    near = Peak({"float32": 1.05 * REACHED * row.flops / row.median}, ((1, 1e18),))
    row.status = "timed"
    _hold_against_the_roof(row, near)
    assert row.status == "timed" and row.share > 1


def test_what_must_be_multiplied_and_moved():
    """Padded products are not; a transform needs fewer; cells between the windows are not read."""
    case = _case(LENET)
    assert _flops(case, "direct") == 2 * LENET.multiply_adds
    assert _flops(case, "winograd(4,5)") == 2 * LENET.multiply_adds * (8 / 20) ** 2
    assert _flops(case, "fft") == 0
    assert _bytes(case) == 4 * (6 * 14 * 14 + 16 * 6 * 25 + 16 * 10 * 10)
    x, w = np.zeros((1, 1, 3)), np.zeros((1, 1, 3))
    padded = Case(OPERATIONS["conv1d"], {"input": x, "weight": w}, {"padding": 1}, "float64")
    assert _flops(padded, "direct") == 2 * (2 + 3 + 2)
    sparse = Case(OPERATIONS["conv1d"], {"input": np.zeros((1, 1, 10)), "weight": w[..., :1]}, {"stride": 3}, "float64")
    assert _bytes(sparse) == 8 * (4 + 1 + 4)
    pool = Case(OPERATIONS["max_pool1d"], {"input": np.zeros((1, 1, 10))}, {"kernel_size": 2, "stride": 4}, "float64")
    assert _flops(pool, "direct") == 0 and _bytes(pool) == 8 * (4 + 2 + 2 - 2 + 3 - 0 - 0)
    both = replace(case, operation=OPERATIONS["conv2d_backward"], operands=LENET.backward().operands(0))
    assert _flops(both, "direct") == 4 * LENET.multiply_adds


def test_bandwidth_is_that_of_the_size():
    """The largest measured size that is not larger; a larger one that happened to be faster counts."""
    peak = Peak({"float32": 1.0}, ((100, 9.0), (1000, 5.0), (10000, 6.0)))
    assert [peak.bandwidth(n) for n in (50, 100, 999, 1000, 10**6)] == [9, 9, 9, 6, 6]
    other = Peak({"float32": 2.0}, ((100, 1.0), (1000, 7.0), (10000, 1.0)))
    assert peak.best(other) == Peak({"float32": 2.0}, ((100, 9.0), (1000, 7.0), (10000, 6.0)))


def test_the_peak_is_measured(monkeypatch, capsys):
    """By the best of both products and of copying and reading, each positive."""
    from refconv import peak

    monkeypatch.setattr(peak, "SECONDS", 1e-4)
    monkeypatch.setattr(peak, "ORDERS", (16,))
    monkeypatch.setattr(peak, "SIZES", (1 << 14, 1 << 16))
    peak.main("1", "float32,float64,bfloat16", "cpu")
    found = json.loads(capsys.readouterr().out)
    assert found["product"].keys() == {"float32", "float64", "bfloat16"} and min(found["product"].values()) > 0
    assert [size for size, _ in found["memory"]] == [1 << 14, 1 << 16]
    monkeypatch.setattr(peak.sys, "executable", "/bin/false")
    with pytest.raises(RuntimeError, match="could not be measured"):
        peak.measured(1, ("float32",))


def test_a_subject_in_this_process_is_not_timed():
    """It could look into what times it."""
    with pytest.raises(TypeError, match="is in this process"):
        _Contender(load("refconv:conv2d", {}), _case(LENET))


def test_a_reading_knows_what_changed():
    """Any one of the places; NaN is equal to itself, and an empty result cannot change."""
    y = np.array([[1.0, np.nan], [3.0, 4.0]])
    reading = Reading(1.0, {"output": ([0, 1, 3], [1.0, np.nan, 4.0]), "none": ([], [])})
    assert reading.changed({"output": y, "none": np.zeros((0, 3))}) == ""
    y[1, 1] = 5
    assert reading.changed({"output": y, "none": np.zeros((0, 3))}) == "output"


def test_processors_are_pinned(monkeypatch):
    """As many as there are threads, and put back."""
    before = os.sched_getaffinity(0)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    with pinned(1):
        assert len(os.sched_getaffinity(0)) == 1 and os.environ["OMP_NUM_THREADS"] == "1"
        assert int(os.environ["OPENBLAS_THREAD_TIMEOUT"]) < 26  # what OpenBLAS takes by itself: a tenth of a second
    assert os.sched_getaffinity(0) == before and "OMP_NUM_THREADS" not in os.environ
    with pytest.raises(ValueError, match="--threads is 4096, but must be from 1 to"), pinned(4096):
        pass


def test_the_page_needs_nothing_else(subjects):
    """A roofline with a point for each contender, everything escaped, no script, nothing loaded."""
    found = _bench(subjects, "right", Peak({"float32": 1e11}, ((1, 1e10), (1 << 20, 1e9))))
    found.subject = replace(found.subject, name="<b>&mine")
    refused = _bench(subjects, "flipped")
    found.rows += refused.rows
    text = speed.page(found)
    assert "&lt;b&gt;&amp;mine" in text and "<b>&mine" not in text
    assert text.count('<path class="subject"') == 2 and text.count('<path class="refconv"') == 2  # and the legend
    assert "<script" not in text and "src=" not in text and "outside the allowed error" in text
    assert text.count("<svg") == 1 and "NaN" not in text and "nan" not in text


# ----------------------------------------------------------------------------------------------- the command


@pytest.fixture
def command(subjects, monkeypatch):
    """`refconv bench` on subjects that run already, with a peak that need not be measured."""
    asked = []

    def given(targets, option, apart):
        asked.append((targets, {n: option(n) for n in ("dtype", "timeout", "in_process")}, apart))
        name = targets[0].rpartition(":")[2]
        return [
            (replace(subjects[name], scope=replace(subjects[name].scope, dtypes=("float32",))), [OPERATIONS["conv2d"]])
        ]

    monkeypatch.setattr(bench_command, "subjects", given)
    monkeypatch.setattr(bench_command, "rivals", lambda subject, limits: {"refconv": subjects["rival"]})
    monkeypatch.setattr(bench_command, "measured", lambda *_: Peak({"float32": 1e15}, ((1, 1e15),)))
    return asked


def test_the_command_writes_what_it_found(command, tmp_path, capsys):
    """One line for each workload, the means, JSON and page; exit code 0."""
    files = tmp_path / "speed.json", tmp_path / "speed.html"
    arguments = ["bench", "cheats.py:right", "--layer", "lenet-c1", "--layer", "lenet-c3", "--rounds", "6"]
    assert cli.main([*arguments, "--json", str(files[0]), "--html", str(files[1])]) == 0
    said = capsys.readouterr().out
    assert said.startswith("BENCH: 2 timed\n") and "lenet-c1/conv2d/b1/float32" in said
    assert "times as fast as refconv, geometric mean of 2" in said
    assert json.loads(files[0].read_text())["headline"] == "BENCH: 2 timed"
    assert files[1].read_text().startswith("<!doctype html>")
    ((targets, options, apart),) = command
    assert targets == ["cheats.py:right"] and apart
    assert options == {"dtype": [], "timeout": "10", "in_process": False}


def test_the_command_refuses_what_is_wrong(command, capsys):
    """Exit code 1, and the violation in full."""
    assert cli.main(["bench", "cheats.py:flipped", "--layer", "lenet-c3"]) == 1
    said = capsys.readouterr().out
    assert said.startswith("BENCH: 0 timed, 1 wrong\n") and "is wrong, not timed" in said and "allowed " in said


def test_the_command_times_nothing(command, capsys):
    """Exit code 5 where all was declined."""
    assert cli.main(["bench", "cheats.py:declines", "--layer", "lenet-c3"]) == 5
    assert "declined: no such layer here (lenet-c3/conv2d/b1/float32)" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rounds", "5"], "--rounds is 5, but must be at least 6"),
        (["--layer", "vvg"], "layer 'vvg' is unknown: choose a group (dense, "),
        (["--layer", "max-pool"], "--layer leaves none of conv2d"),
        (["--threads", "0"], "--threads is 0, but must be from 1 to"),
        (["--json", "/"], "--json is '/', but cannot be written"),
        (["--html", "/"], "--html is '/', but cannot be written"),
    ],
)
def test_usage_errors(command, capsys, arguments, words):
    """One line each; exit code 4."""
    assert cli.main(["bench", "cheats.py:right", *arguments]) == 4
    said = capsys.readouterr().err
    assert words in said and said.count("\n") == 1


def test_help_teaches(capsys):
    """What is verified, examples, every layer, and what exit codes mean."""
    assert cli.main(["bench", "--help"]) == 0
    said = capsys.readouterr().out
    for words in ("Only what is verified is timed", "vgg-64@224", "exit code: 0 timed", f"(default: {ROUNDS})"):
        assert words in said
    assert max(map(len, said.splitlines())) <= 120


def test_targets_that_are_ours_run_apart_too(capsys):
    """With the class that the registry states for each call, as in a check."""
    assert cli.main(["bench", "nope"]) == 4
    assert capsys.readouterr().err.startswith("refconv: target 'nope'")
    from refconv.isolation import Isolated
    from refconv.options import OPTIONS
    from refconv.options import subjects as found

    option = {flags[0][2:].replace("-", "_"): keywords.get("default", False) for flags, keywords in OPTIONS}
    ((subject, _),) = found(["refconv-winograd"], option.__getitem__, apart=True)
    assert isinstance(subject, Isolated)
    vgg = next(workloads(["vgg-512@14"], (1,), ("float32",)))
    arrays = {n: np.broadcast_to(np.float32(0), shape) for n, shape in vgg.shapes.items()}
    assert subject.claims_for(Case(OPERATIONS["conv2d"], arrays, vgg.arguments, "float32")).algorithm.startswith("wino")


def test_a_file_is_written_whole_or_not_at_all(tmp_path):
    """What was there before stays where writing fails."""
    path = tmp_path / "found.json"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write(path, "\ud800")
    write(tmp_path / "other", "text")
    assert path.read_text() == "before" and (tmp_path / "other").read_text() == "text"
    assert str(Ratio(1.0, 0.5, 2.0)) == "1.00 [0.50, 2.00]" and EXCERPTS >= 4
