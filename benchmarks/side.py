"""One side of the gate: times calls of whatever refconv is first on its path, a sample whenever it is asked.

Each line read is a request in JSON, each line written its answer. `{"work": name}` prepares a call and tells how long
it takes; `{"repeats": n}` times n calls of it.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import sys
from dataclasses import replace
from pathlib import Path
from time import perf_counter

sys.path.insert(0, str(Path(__file__).parent))

from history import layers  # it pins the threads, before numpy is loaded

# What the gate watches: a layer in a dtype, forward or backward, by a method: some of each algorithm, all of it short.
WORK = {
    f"{layer} {dtype} {'backward' if backward else 'forward'} {method}": (layer, dtype, backward, method)
    for layer, dtype, backward, method in [
        ("lenet-c3", "float32", False, "auto"),
        ("alexnet-11x11s4", "float32", False, "auto"),
        ("resnet-64@56", "float32", False, "auto"),
        ("resnet-64@56", "float32", False, "im2col"),
        ("resnet-64@56", "float32", False, "winograd"),
        ("resnet-64@56", "float32", False, "fastest"),
        ("resnet-64@56", "float64", False, "auto"),
        ("resnet-128@28", "float32", True, "auto"),
        ("resnet-3x3s2", "float32", False, "auto"),
        ("resnet50-1x1", "float32", False, "auto"),
        ("mobilenet-512@14", "float32", False, "auto"),
        ("mobilenet-512@14", "float32", False, "direct"),
        ("resnext-512@14", "float32", False, "auto"),
        ("googlenet-5x5", "float32", False, "fft"),
        ("audio-3", "float32", False, "auto"),
        ("dcgan-4x4s2", "float32", False, "auto"),
        ("resnet-max-3s2", "float32", False, "auto"),
        ("resnet-max-3s2", "float32", True, "auto"),
        ("inception-avg-3", "float32", False, "auto"),
        ("inception-avg-3", "float32", True, "auto"),
    ]
}


def prepared(name: str):
    """The call of that name, made once."""
    import refconv

    layer, dtype, backward, method = WORK[name]
    workload = next(layers.workloads([layer], (1,), (dtype,)))
    workload = workload.backward() if backward else workload
    function, operands = getattr(refconv, workload.operation), list(workload.operands(0).values())
    call = functools.partial(function, *operands, **workload.arguments, method=method)
    call()
    return call


def sample(call, repeats: int) -> float:
    """Seconds of one of so many calls in a row."""
    gc.disable()
    start = perf_counter()
    for _ in range(repeats):
        call()
    seconds = (perf_counter() - start) / repeats
    gc.enable()
    return seconds


def plant(name: str, slower: float) -> None:
    """Make every forward convolution by an algorithm take longer by this fraction of its own time."""
    from refconv.algorithms import ALGORITHMS

    row = ALGORITHMS[name]

    def slow(*arguments):
        start = perf_counter()
        out = row.conv(*arguments)
        end = perf_counter()
        end += slower * (end - start)
        while perf_counter() < end:
            pass
        return out

    ALGORITHMS[name] = replace(row, conv=slow)


def main() -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # both sides on one processor: they take turns
    if len(sys.argv) > 2:
        plant(sys.argv[1], float(sys.argv[2]))
    call = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "work" in request:
                call = prepared(request["work"])
            answer = {"seconds": sample(call, request.get("repeats", 1))}
        except (NotImplementedError, AttributeError, TypeError, ValueError) as error:
            answer = {"lacks": f"{type(error).__name__}: {error}"[:200]}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
