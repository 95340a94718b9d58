"""What an element of a result is computed from, against the exact values of changed operands."""

from dataclasses import replace

import hypothesis
import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, settings

from refconv import exact
from refconv.report.reads import reads
from refconv.spec import OPERATIONS, Case
from refconv.strategies import Scope, cases

FEW = settings(  # the first case takes long: a covering design is made for it
    max_examples=5, phases=(Phase.generate,), database=None, deadline=None, suppress_health_check=list(HealthCheck)
)


def _value(case, result, index):
    return exact.values(case)[result].high[index]


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_what_changes_an_element_is_what_it_reads(name):
    """An element of an operand is marked if and only if the exact value depends on it."""
    tried = []

    @FEW
    @hypothesis.seed(7)
    @hypothesis.given(case=cases(OPERATIONS[name], Scope(("float64",), pairs=True)))
    def attempt(case):
        ones = {n: np.ones(a.shape) for n, a in case.operands.items()}
        case, chooser = replace(case, operands=ones, layout="contiguous"), np.random.default_rng(1)
        for result in case.operation.results:
            shape = case.shapes[result]
            if 0 in shape:
                continue
            index = tuple(int(chooser.integers(n)) for n in shape)
            if case.operation.kind == "max_pool_backward":  # a maximum, which a larger element takes the place of
                ones["input"][index] = 2
            read = reads(case, result, index)
            assert {n: a.shape for n, a in read.items()} == {n: a.shape for n, a in ones.items()}
            for operand, marked in read.items():
                found = [tuple(chooser.choice(np.argwhere(m))) for m in (marked, ~marked) if m.any()]
                for at in found:
                    changed = ones[operand].copy()
                    changed[at] = 3
                    if changed.shape == shape and changed[index] == 3 and operand == "input":
                        continue  # the maximum itself, raised
                    new = _value(case.with_operands(**{operand: changed}), result, index)
                    depends = bool(new != _value(case, result, index))
                    assert depends == marked[at], (case, result, index, operand, at)
                    tried.append(depends)

    attempt()
    assert True in tried and False in tried


def test_a_maximum_reads_its_window():
    """Dilated and padded."""
    case = Case(
        OPERATIONS["max_pool1d"],
        {"input": np.ones((1, 2, 6))},
        {"kernel_size": 3, "padding": 1, "dilation": 2},
        "float64",
    )
    read = reads(case, "output", (0, 1, 1))["input"]
    assert read[0, 0].sum() == 0 and np.flatnonzero(read[0, 1]).tolist() == [2, 4]


def test_the_gradient_of_a_maximum_reads_whole_windows():
    """Every input that could have been the maximum instead."""
    operands = {"grad_output": np.ones((1, 1, 3)), "input": np.ones((1, 1, 6))}
    case = Case(OPERATIONS["max_pool1d_backward"], operands, {"kernel_size": 2}, "float64")
    read = reads(case, "grad_input", (0, 0, 3))
    assert [np.flatnonzero(read[n]).tolist() for n in ("grad_output", "input")] == [[1], [2, 3]]
