"""Power and fairness on the corpus: every wrong implementation is convicted, no right one is accused."""

import re

import pytest

from refconv.law import Effort
from refconv.options import PROFILES
from tests import score

WRONG, RIGHT = score.corpus("wrong"), score.corpus("right")
# Correct in calls so few that some laws accept too little of what is drawn.
NARROW = {"declines_most", "declines_strided_memory", "bfloat16_fused", "few_keywords", "three_by_three_same_only"}


@pytest.mark.parametrize("path", WRONG, ids=lambda p: p.stem)
def test_wrong_is_convicted(path):
    """Some law is broken."""
    outcome = score.judged(path, Effort(PROFILES["standard"], shrinks=False))
    assert outcome.law, f"nobody convicts {path.stem}"


@pytest.mark.parametrize("path", RIGHT, ids=lambda p: p.stem)
def test_right_is_not_accused(path):
    """No law is broken, and the comparison with exact values was made."""
    outcome = score.judged(path, Effort(PROFILES["quick"]))
    assert not outcome.law, outcome.said
    if path.stem not in NARROW:
        assert not any("allowed_error" in law for law in outcome.unverified)


@pytest.mark.parametrize("path", WRONG + RIGHT, ids=lambda p: p.stem)
def test_a_mutant_says_what_it_is(path):
    """A sentence; for a wrong one class, trigger and rarity."""
    text = path.read_text()
    assert re.match(r'"""[A-Z].*\.', text)
    if path.parent.name == "wrong":
        assert re.search(r"^Class: \w+\. Trigger: .+\. Rarity: (common|uncommon|rare)\.$", text, re.M)


def test_there_are_enough():
    """The corpus does not shrink unnoticed."""
    assert len(WRONG) >= 260 and len(RIGHT) >= 85
