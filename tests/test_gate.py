"""The gate alarms on a slowdown that is real and on nothing else; its sides run what they are told to run."""

import json
import subprocess
from dataclasses import replace
from itertools import cycle

import numpy as np
import pytest

from benchmarks import alarms, gate, side
from benchmarks.gate import MARGIN, PAIRS, ROUNDS, Found, Side, compare
from refconv.algorithms import ALGORITHMS
from refconv.workloads import LAYERS, workloads

FAKE = """
def conv2d(*operands, method, **arguments):
    raise NotImplementedError("not in this version")
"""


class Model:
    """A side whose samples are drawn: a time for each work, noise of its own, and some for each process."""

    rng = np.random.default_rng(0)

    def __init__(self, factor=1.0, process=0.03, sample=0.05):
        self.factor, self.process, self.sample = factor, process, sample

    def __enter__(self):
        self.here = self.factor * self.rng.lognormal(0, self.process)
        return self

    def __exit__(self, *_):
        pass

    def ask(self, **request):
        return {"seconds": 1e-3 * self.here * self.rng.lognormal(0, self.sample)}


def _alarms(monkeypatch, factor, repetitions, works=("one",)):
    monkeypatch.setattr(gate, "Side", lambda folder, *plant: Model(factor if folder == "change" else 1.0))
    return sum(any(one.slower for one in compare("base", "change", (), works)) for _ in range(repetitions))


def test_identical_code_is_no_alarm(monkeypatch):
    """On 19 works whose times move by 3 % with each process and 5 % with each sample: none in 100 runs of the gate."""
    assert _alarms(monkeypatch, 1.0, 100, tuple(map(str, range(19)))) == 0


def test_a_slowdown_is_found(monkeypatch):
    """20 % on the same machine: in every one of 100 runs; 3 % is nobody's business."""
    assert _alarms(monkeypatch, 1.2, 100) == 100
    assert _alarms(monkeypatch, 1.03, 100) <= 1


def test_an_alarm_takes_all_pairs_but_one():
    """And work is cleared as soon as it cannot become one."""
    one = Found("work", [1.2] * (PAIRS - 1) + [1.0])
    assert one.slower and not one.open and "1.200 [1.200, 1.200]  SLOWER" in str(one)
    assert not Found("work", [1.2] * (PAIRS - 2) + [1.0, MARGIN]).slower
    assert Found("work", [1.2] * (PAIRS - 1)).open and not Found("work", [1.2] * (PAIRS - 1)).slower
    assert Found("work", [1.0, 1.2]).open and not Found("work", [1.0, 1.2, 1.05]).open
    assert not Found("work", lacks="x").open and not Found("work", lacks="x").slower


def test_sides_take_turns(monkeypatch):
    """Round by round, each beginning every second; the ratio is that of the change to the base."""
    asked = []

    class Told:
        def __init__(self, name, seconds):
            self.name, self.seconds = name, seconds

        def ask(self, **request):
            asked.append(self.name) if request.get("repeats", 1) > 1 else None
            return {"seconds": self.seconds}

    one = Found("work")
    gate._pair(one, Told("a", 1e-3), Told("b", 3e-3))
    turns = cycle(("ab", "ba"))
    assert "".join(asked) == "".join(next(turns) for _ in range(ROUNDS))
    assert one.ratios == [3.0]


def test_every_work_exists():
    """Layers, dtypes and operations that there are, each algorithm that has a fast path among them."""
    for layer, dtype, backward, _ in side.WORK.values():
        (workload,) = workloads([layer], (1,), (dtype,))
        assert layer in LAYERS and (not backward or workload.backward())
    assert {method for *_, method in side.WORK.values()} >= {"auto", "im2col", "winograd", "fft", "direct"}
    assert alarms.WATCHED


def test_a_side_times_the_version_it_is_given(tmp_path):
    """Its own refconv, not the one installed; what that cannot do is said, and does not end it."""
    (tmp_path / "refconv.py").write_text(FAKE)
    with Side(tmp_path) as other, Side(gate.ROOT) as here:
        lenet = next(name for name in side.WORK if name.startswith("lenet-c3"))
        assert other.ask(work=lenet) == {"lacks": "NotImplementedError: not in this version"}
        pool = next(name for name in side.WORK if name.startswith("resnet-max"))
        assert other.ask(work=pool)["lacks"].startswith("AttributeError")
        assert 0 < here.ask(work=lenet)["seconds"] < 60
        found = Found(lenet)
        gate._pair(found, other, here)
        assert found.lacks == "base has NotImplementedError: not in this version" and "not compared" in str(found)


def test_a_planted_slowdown_is_one(monkeypatch):
    """Each convolution by the algorithm takes longer by so much of its own time, by a clock that is made up."""
    ticks = [0.0]

    def clock():
        ticks[0] += 1.0
        return ticks[0]

    def work(*arguments):
        ticks[0] += 100.0
        return arguments

    monkeypatch.setitem(ALGORITHMS, "im2col", replace(ALGORITHMS["im2col"], conv=work))
    monkeypatch.setattr(side, "perf_counter", clock)
    side.plant("im2col", 0.2)
    assert ALGORITHMS["im2col"].conv(1, 2) == (1, 2)
    assert 121 <= ticks[0] <= 125


def test_a_commit_is_exported():
    """The package alone; a commit that is none is refused."""
    root = subprocess.run(["git", "rev-parse", "HEAD"], cwd=gate.ROOT, capture_output=True, text=True)
    assert root.returncode == 0, "the tests of the gate need the repository, not an archive of it"
    with gate.exported("HEAD") as folder:
        assert (folder / "refconv" / "__init__.py").is_file() and not (folder / "tests").exists()
    with pytest.raises(ValueError, match="BASE is 'nope', but must be a commit"), gate.exported("nope"):
        pass


def test_exit_codes(monkeypatch, capsys, tmp_path):
    """0 not slower, 1 slower, 4 no such commit, 5 nothing compared; JSON of all ratios."""
    fine, slow, lacking = Found("a", [1.0, 1.0]), Found("b", [1.2] * PAIRS), Found("c", lacks="x")
    for found, code, words in (
        ([fine, lacking], 0, "GATE: none of 2 slower"),
        ([fine, slow], 1, "GATE: 1 of 2 slower"),
        ([lacking], 5, "not compared"),
    ):
        monkeypatch.setattr(gate, "compare", lambda base, change, found=found: found)
        assert gate.main(["HEAD", "--json", str(tmp_path / "gate.json")]) == code
        assert words in capsys.readouterr().out
        assert json.loads((tmp_path / "gate.json").read_text())["rows"][0]["work"] == found[0].work
    assert gate.main(["nope"]) == 4 and "gate: BASE is 'nope'" in capsys.readouterr().err


def test_the_page_of_alarms():
    """Shares with exact intervals, and every false alarm by name."""
    runs = [{"planted": False, "alarms": [], "seconds": 9.0, "load": 0.1}] * 199
    runs += [{"planted": False, "alarms": ["work"], "seconds": 9.0, "load": 0.1}]
    runs += [{"planted": True, "alarms": ["work"], "seconds": 20.0, "load": 0.3}] * 100
    text = alarms.page(runs)
    assert "| identical | 200 | 1 | 0.5% | 0.0% to 2.8% | 9 |" in text
    assert "| im2col 20% slower | 100 | 100 | 100.0% | 96.4% to 100.0% | 20 |" in text
    assert "False alarms: work." in text
