"""What the process of a subject costs a call: the same small call here and there, in turn.

pytest benchmarks/test_overhead.py --benchmark-only
"""

import time
from pathlib import Path
from statistics import median

import numpy as np
import pytest

from refconv.isolation import Limits, isolated
from refconv.spec import OPERATIONS, Case
from refconv.subject import load

ROUNDS = 3000
OPERANDS = {"input": np.ones((1, 1, 8, 8), np.float32), "weight": np.ones((1, 1, 3, 3), np.float32)}
CASE = Case(OPERATIONS["conv2d"], OPERANDS, {}, "float32")
SOURCE = "import numpy as np\ndef conv2d(input, weight):\n    return np.full((1, 1, 6, 6), 9, np.float32)\n"


@pytest.fixture
def subjects(tmp_path: Path):
    """The same function in this process and in one of its own."""
    file = tmp_path / "small.py"
    file.write_text(SOURCE)
    (there,) = isolated([str(file)], Limits())
    yield load(str(file), {}), there
    there.process.stop()


def test_a_small_call_through_the_process(benchmark, subjects, capsys):
    """The call there is what is timed, the call here comes before each; their medians differ by the overhead."""
    here, there = subjects
    alone = []

    def call_here():
        started = time.perf_counter()
        here.call(CASE)
        alone.append(time.perf_counter() - started)

    results = benchmark.pedantic(there.call, (CASE,), setup=call_here, rounds=ROUNDS, warmup_rounds=50).results
    assert np.array_equal(results["output"], here.call(CASE).results["output"])
    through = benchmark.stats.stats.median
    overhead = 1e6 * (through - median(alone))
    benchmark.extra_info["median overhead, microseconds"] = overhead
    with capsys.disabled():
        print(f"\nmedian: here {1e6 * median(alone):.0f} us, there {1e6 * through:.0f} us; overhead {overhead:.0f} us")
