"""The covering design: rules, feasibility, and every feasible combination of three in some row."""

import itertools

import pytest

from refconv.cover import Design, triples_of

FEATURES = {"a": ("0", "1", "2"), "b": ("0", "1"), "c": ("0", "1", "2", "3"), "d": ("0", "1"), "e": ("0", "1", "2")}
RULES = [{"a": ("1",), "b": ("1",)}, {"a": ("2",), "c": ("2", "3"), "d": ("1",)}, {"e": ("2",), "d": ("0",)}]


def rows_of(design):
    """Every feasible row, by trying all."""
    names = list(design.features)
    for values in itertools.product(*design.features.values()):
        row = dict(zip(names, values, strict=True))
        if design.feasible(row):
            yield row


@pytest.mark.parametrize("rules", [[], RULES], ids=["free", "ruled"])
def test_every_triple_of_a_feasible_row_is_covered(rules):
    """By brute force over all rows; and no more rows than half of them."""
    design = Design(FEATURES, rules)
    every = list(rows_of(design))
    assert design.triples() == {t for row in every for t in triples_of(row)}
    assert len(design.rows) < len(every) / 2


def test_a_triple_that_only_search_completes_is_covered():
    """Three more features chained by rules: from a triple, most ways of filling in the rest end nowhere."""
    chain = dict.fromkeys("uvwxyz", ("0", "1", "2"))
    differ = [{f: (v,), g: (v,)} for f, g in itertools.pairwise("uvwxyz") for v in "012"]
    design = Design(chain, [*differ, {"u": ("0",), "z": ("0", "1")}])
    assert not design.feasible(design.plain())
    assert design.triples() == {t for row in rows_of(design) for t in triples_of(row)}


def test_a_triple_that_nothing_completes_is_left_out():
    """b is never possible where a is 1, though no rule forbids the other three together."""
    design = Design(FEATURES, [{"a": ("1",), "b": ("0",)}, {"a": ("1",), "b": ("1",)}])
    assert design.feasible({"a": "1", "c": "0", "d": "0"})
    assert not any(("a", "1") in triple for triple in design.triples())


def test_no_row_breaks_a_rule():
    design = Design(FEATURES, RULES)
    assert all(design.feasible(row) for row in design.rows)
    assert not any(row["a"] == "1" and row["b"] == "1" for row in design.rows)
    assert not any(row["a"] == "2" and row["c"] in "23" and row["d"] == "1" for row in design.rows)


@pytest.mark.parametrize(
    ("row", "feasible"),
    [
        ({}, True),
        ({"a": "1"}, True),
        ({"a": "1", "b": "1"}, False),
        ({"a": "1", "b": "0", "c": "3"}, True),
        ({"a": "2", "c": "2"}, True),
        ({"a": "2", "c": "3", "d": "1"}, False),
        ({"d": "0", "e": "2"}, False),
    ],
)
def test_a_partial_row_is_feasible_unless_a_rule_holds_in_full(row, feasible):
    assert Design(FEATURES, RULES).feasible(row) == feasible


def test_rules_on_features_that_are_not_there_are_dropped():
    assert Design({"a": ("0", "1")}, [{"a": ("1",), "z": ("1",)}]).feasible({"a": "1"})


def test_the_plainest_row_is_first_and_distances_rise():
    design = Design(FEATURES, RULES)
    assert design.rows[0] == design.plain() == dict.fromkeys(FEATURES, "0")
    distances = [design.distance(row) for row in design.rows]
    assert distances == sorted(distances) and distances[0] == 0


def test_equal_plans_have_equal_rows():
    one, other = Design(FEATURES, RULES), Design(dict(FEATURES), list(RULES))
    assert one == other and hash(one) == hash(other) and one.rows == other.rows
    assert one != Design(FEATURES, []) and one != FEATURES


def test_triples_of_a_row():
    assert triples_of({"a": "0", "b": "1"}) == []
    assert len(triples_of(dict.fromkeys("abcd", "0"))) == 4
