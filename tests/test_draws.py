"""Values drawn many at a time: as many as asked for, the same from a key, again by Hypothesis from their choices."""

import importlib
import itertools
from pathlib import Path

import pytest
from hypothesis import find, settings
from hypothesis import strategies as st
from hypothesis.database import DirectoryBasedExampleDatabase, InMemoryExampleDatabase

import properties
from refconv import draws, strategies
from refconv.law import Judged, Law
from refconv.spec import KIND_GROUPS, OPERATIONS
from refconv.subject import Subject

CONV = st.fixed_dictionaries({"case": strategies.cases("conv2d"), "seed": st.integers(0, 2**16)})


def _taken(values, count, key=1):
    """The values that `each` hands over."""
    taken = []
    draws.each(values, count, key, lambda drawn: taken.append(drawn) is None)
    return taken


def _laws():
    """Every law, on one operation of its kind."""
    for path in sorted(Path(properties.__path__[0]).glob("test_*.py")):
        module = importlib.import_module(f"properties.{path.stem}")
        for name, test in vars(module).items():
            if name.startswith("test_") and hasattr(test, "run"):
                kinds = KIND_GROUPS.get(test.kind, {test.kind})
                operation = next(op for op in OPERATIONS.values() if op.kind in kinds)
                yield pytest.param(test, operation, id=name)


def _same(values, others):
    return values.keys() == others.keys() and all(
        value.same(others[name]) if name == "case" else repr(value) == repr(others[name])
        for name, value in values.items()
    )


@pytest.mark.parametrize(("law", "operation"), list(_laws()))
def test_hypothesis_draws_what_was_drawn_again(law, operation):
    """For the strategies of every law: so it shrinks the very values that broke it."""
    (rule,) = [c.cell_contents for c in law.run.__closure__ if isinstance(c.cell_contents, Law)]
    values = rule.values(Judged(Subject("subject", {operation.name: len}), operation))
    for drawn in _taken(values, 4):
        asked = []
        draws.shrink(
            values, drawn, lambda again, asked=asked: bool(asked.append(again)), InMemoryExampleDatabase(), b"k"
        )
        assert len(asked) == 1 and _same(asked[0], drawn.values)


@pytest.mark.parametrize("count", [1, 2, draws.BATCH, draws.BATCH + 1, 100])
def test_as_many_as_asked_for(count):
    """Whatever the size of a batch."""
    assert len(_taken(CONV, count)) == count


def test_a_key_draws_the_same():
    """And another key others, whatever is drawn beside the case."""
    first, again, other = _taken(CONV, 20), _taken(CONV, 20), _taken(CONV, 20, key=2)
    assert all(_same(a.values, b.values) for a, b in zip(first, again, strict=True))
    assert not any(_same(a.values, b.values) for a, b in zip(first, other, strict=True))


def test_no_two_are_alike():
    """Hypothesis alone would begin with the plainest values and repeat parts of what it has drawn."""
    taken = _taken(CONV, 100)
    assert not any(_same(a.values, b.values) for a, b in itertools.combinations(taken, 2))
    assert len({drawn.values["seed"] for drawn in taken}) > 90


def test_every_row_is_met_before_one_comes_again():
    """The first choice of a case is made in turn: in each run of `count` turns every value once."""
    for count in (1, 2, 3, 10, 97, 128, 360):
        walk = [draws._leaping(turn, count) for turn in range(7, 7 + 2 * count)]
        assert sorted(walk[:count]) == sorted(walk[count:]) == list(range(count))


def test_looking_ends_it():
    """Nothing is looked at after a look that says so."""
    taken = []
    draws.each(CONV, 100, 1, lambda drawn: len(taken) < 20 and taken.append(drawn) is None)
    assert len(taken) == 20


def test_an_error_ends_it():
    """And comes out as it is, the look not being repeated."""
    looks = []

    def look(drawn):
        looks.append(drawn)
        if len(looks) == 5:
            raise KeyError("mine")
        return True

    with pytest.raises(KeyError, match="mine"):
        draws.each(CONV, 100, 1, look)
    assert len(looks) == 5


def test_what_fails_is_shrunk_and_remembered(tmp_path):
    """The simplest is asked for at once the next time, and forgotten when it no longer fails."""

    def fails(values):
        return values["case"].operands["input"].size >= 4

    drawn = next(d for d in _taken(CONV, 50) if fails(d.values))
    database, failed, looked = DirectoryBasedExampleDatabase(tmp_path), [], []
    assert draws.shrink(CONV, drawn, lambda v: fails(v) and failed.append(v) is None, database, b"key")
    smallest = min(v["case"].operands["input"].size for v in failed)
    assert smallest == 4
    for _ in range(2):
        draws.recall(CONV, database, b"key", lambda drawn: bool(looked.append(drawn.values)))
    assert [v["case"].operands["input"].size for v in looked] == [4, 4, 4, 4]  # once more each, to be sure
    draws.recall(CONV, database, b"key", lambda drawn: True)
    draws.recall(CONV, database, b"key", lambda drawn: pytest.fail("it is still remembered"))


def test_what_does_not_fail_again_is_not_shrunk():
    """And the caller is told."""
    (drawn,) = _taken(CONV, 1)
    assert not draws.shrink(CONV, drawn, lambda values: False, InMemoryExampleDatabase(), b"key")


def test_elsewhere_hypothesis_makes_every_choice():
    """The strategies are Hypothesis' own for whoever uses them in tests of their own."""
    case = find(
        strategies.cases("conv2d"), lambda case: case.operands["input"].size > 3, settings=settings(database=None)
    )
    assert case.operands["input"].size == 4
