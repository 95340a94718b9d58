"""What would have been caught is worked out truly: a fault counts as caught exactly where the judge rejects it."""

import numpy as np
import pytest

from refconv import judge
from refconv.claims import Claims
from refconv.law import Record
from refconv.sensitivity import FAULTS, Sensitivity
from refconv.spec import OPERATIONS, Case
from refconv.verdict import CENTRAL, Verdict
from tests import score


def _observed(x, w, **claims):
    operands = {"input": np.array([[x]], dtype=np.float32), "weight": np.array([[w]], dtype=np.float32)}
    found = Sensitivity()
    found.observe(judge.expect(Case(OPERATIONS["conv1d"], operands, {}, "float32"), Claims(**claims)))
    return found


def test_every_fault_is_caught_on_telling_data():
    """Full mantissas under an uneven kernel leave no fault any room."""
    assert _observed([4097, 8191, 5001], [1, 3]).caught.keys() == FAULTS.keys()


@pytest.mark.parametrize(
    ("fault", "x", "w"),
    [
        ("zero output", [0, 0, 0], [1, 3]),
        ("one lost tap", [4097, 8191, 5001], [1, 0]),
        ("flipped axis", [4097, 8191, 5001], [3, 3]),
        ("TF32 operands", [1, 2, 3], [1, 3]),
        ("bfloat16 sums", [1, 2, 3], [1, 3]),
    ],
)
def test_a_fault_goes_by_where_the_data_hide_it(fault, x, w):
    """Data that a fault leaves as they are catch nothing of it."""
    found = _observed(x, w)
    assert found.meant[fault] == 1 and found.caught[fault] == 0
    assert not found.sufficient(Claims())


def test_a_weak_claim_leaves_room_for_reduced_precision():
    """What the claim admits cannot be caught, and is not asked for."""
    found = _observed([4097, 8191, 5001], [1, 3], accumulate="bfloat16")
    assert found.caught["bfloat16 sums"] == 0
    assert found.sufficient(Claims(accumulate="bfloat16")) and not found.sufficient(Claims())


def test_a_verdict_that_would_have_missed_a_fault_is_not_verified():
    """Every law holds, but on data that hide a lost tap: that is not correct yet."""
    subject = score.subject(next(p for p in score.corpus("right") if p.stem == "sum_reversed"))
    record = Record(CENTRAL, "oracle", "", subject.name, "conv2d", True, status="verified")
    assert Verdict(subject, [record]).status == "correct"
    record.sensitivity = _observed([4097, 8191, 5001], [1, 0])
    assert Verdict(subject, [record]).status == "not verified"
    assert Verdict(subject, [record]).blind == ["conv2d"]
