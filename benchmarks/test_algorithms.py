"""Algorithms beside each other on the layers of `refconv.workloads`, in tables by layer, for developers.

OMP_NUM_THREADS=1 pytest benchmarks/test_algorithms.py --benchmark-only -k 'resnet and float32'

Every timed result is judged: parts of it, drawn anew, against exact values and the bound of the method's class.
"""

import numpy as np
import pytest

from refconv import judge
from refconv.adapters import ADAPTERS, USUAL
from refconv.excerpt import excerpts
from refconv.spec import OPERATIONS, Case
from refconv.timing import ROUNDS
from refconv.workloads import workloads

pytest.importorskip("pytest_benchmark", reason="pip install 'refconv[benchmarks]'")

LIMIT = 1e7  # multiply-adds beyond which a method that is slow by design is left out
SLOW = ("refconv-toeplitz", "refconv-direct", "refconv-convolution", "refconv-sorting", "refconv-windows")
SUBJECTS = {name: ADAPTERS[name]() for name in USUAL if ADAPTERS[name].installed}
FORWARD = [w for w in workloads(batches=(1,)) if w.dtype == "float32" or w.group == "dense"]
CALLS = {w.name: w for w in [*FORWARD, *(w.backward() for w in FORWARD if w.group != "transposed")]}


def _pairs():
    """Each call with every subject that has its operation and is not too slow to wait for."""
    for name, workload in CALLS.items():
        for subject in SUBJECTS.values():
            known = workload.operation in {op.name for op in subject.operations}
            if known and (workload.multiply_adds <= LIMIT or subject.name not in SLOW):
                yield pytest.param(name, subject.name, id=f"{name}-{subject.name}")


@pytest.mark.parametrize(("name", "way"), list(_pairs()))
def test_layer(name, way, benchmark):
    """One call, timed once a round after one that is not; its result judged afterwards."""
    workload, subject = CALLS[name], SUBJECTS[way]
    case = Case(OPERATIONS[workload.operation], workload.operands(0), workload.arguments, workload.dtype)
    call = subject.prepared(case, {n: subject.hand_over(a) for n, a in case.operands.items()})
    benchmark.group = name
    try:
        raw = benchmark.pedantic(call, rounds=ROUNDS, warmup_rounds=1)
    except NotImplementedError as refusal:
        pytest.skip(str(refusal))
    results, claims = subject.returned(case, raw), subject.claims_for(case)
    for part in excerpts(case, np.random.default_rng(), box=claims.algorithm == "direct"):
        judge.within(part.of(results), part.case, claims)
