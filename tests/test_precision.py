"""The precision class that is found is the one a subject was built to have."""

import re

import pytest

from refconv.law import Effort, Judged
from refconv.precision import LADDERS, Rung
from tests import score

# what the corpus' precision mutants compute as, where one class is certain
CLASSES = {
    "tf32_nearest": "TF32 operands",
    "tf32_truncated": "TF32 operands",
    "bfloat16_accumulator": "bfloat16 accumulation",
    "half_accumulator": "float16 accumulation",
    "half_accumulator_for_half": "float16 accumulation",
    "bias_after_rounding": "float16 with float32 sums, bias added after rounding",
    "kernel_flipped": None,
    "last_product_lost": None,
}


def _found(kind, name):
    subject = score.subject(next(p for p in score.corpus(kind) if p.stem == name))
    judged = Judged(subject, subject.operations[0], Effort(40))
    for rule in score.laws():
        if rule.__module__ == "test_oracle":
            record = rule.run(judged)
    return record.classes


@pytest.mark.parametrize("name", CLASSES)
def test_the_class_of_a_mutant(name):
    """Its reduced precision is named, its structural fault belongs to no class."""
    found = _found("wrong", name)
    words = [None if rung is None else rung.words for rung in found.values()]
    assert CLASSES[name] in words, words


@pytest.mark.parametrize("name", ["sum_reversed", "double_inside", "im2col_matmul"])
def test_the_class_of_a_correct_one(name):
    """Direct summation in its own precision."""
    assert {dtype: rung.words for dtype, rung in _found("right", name).items()} == {
        "float32": "float32, rounded to nearest",
        "float64": "float64, rounded to nearest",
    }


@pytest.mark.parametrize("dtype", LADDERS)
def test_a_rung_says_how_to_claim_it(dtype):
    """Every class but the first is reached by options; a class with a bracket is quoted for the shell."""
    first, *others = LADDERS[dtype]
    assert first.options == ""
    assert all(re.match(r"--[a-z-]+ ", rung.options) for rung in others)
    assert Rung("x", {"algorithm": "winograd(2,3)"}).options == "--algorithm 'winograd(2,3)'"
