"""The score's tables count what was found, and its page is about the corpus that is here."""

import re

import pytest

from tests import score
from tests.score import Outcome

LAW = "every_element_is_within_the_allowed_error"
QUICK = [
    Outcome("a", "wrong", "bias", "rare", LAW, 10, 4, 1.0),
    Outcome("b", "wrong", "bias", "common", "", 500),
    Outcome("c", "right"),
]
FULL = [
    Outcome("a", "wrong", "bias", "rare", LAW, 20, 4, 2.0, replayed="again", diagnosis="right"),
    Outcome("b", "wrong", "bias", "common", "another", 700, 65, 3.0, diagnosis="wrong", what="kind: words"),
    Outcome("c", "right", law="another", said="got 1"),
]


def test_the_tables():
    """Counts by class, by rarity and by law; accusations; a row for each mutant."""
    again = [Outcome("a", "wrong", "bias", "rare", "", 30), Outcome("b", "wrong", "bias", "common", LAW, 500)]
    text = score.matrix([QUICK, again], FULL)
    assert "| bias | 2 | 1 | 2 | 520 | 1.0 | 1 | 1 | 1 | 0 |" in text
    assert "| common | 1 | 0 | 1 | 1000 | - | 0 | 0 | 1 | 0 |" in text
    assert "Convicted in quick, by seed: 1, 1 of 2." in text and "in a new process: 1 of 2." in text
    assert "| common | 1 | 0 | 1 | inf | - | 0 | 0 | 1 | 0 |" in score.matrix([QUICK], FULL)
    assert f"| {LAW} | 1 | 1 |" in text and "| another | 0 | 1 |" in text
    assert "- quick, 1 judged: none" in text and "- standard, 1 judged: `c`" in text
    assert f"| `a` | bias | rare | 1/2 | 40 | {LAW} | 4 | right |" in text
    assert "| `b` | bias | common | 1/2 | 1000 | another | 65 | wrong |" in text


def test_the_summary():
    """Who is missed, who is accused and why, what is said wrongly, which cases stay large."""
    said = score.summary(FULL, shrunk=True)
    assert "wrong: 2 of 2 convicted; missed: none" in said
    assert "diagnoses: 1 right, 1 wrong, 0 unknown; wrong: b" in said
    assert "at most 64 input elements: 1 of 2; larger: b (65)" in said
    assert "right: 1 accused\nc: another\ngot 1" in said
    assert "missed: b" in score.summary(QUICK, shrunk=False)


@pytest.fixture(scope="module")
def page():
    return score.PAGE.read_text()


def test_the_page_has_every_mutant(page):
    """In the class that its header names, convicted, and small or not as the table of classes says."""
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (\w+) \| \d/\d \| \w+ \| (\w+) \| (\d+) \| (\w+) \|$", page, re.M)
    assert {row[0] for row in rows} == {p.stem for p in score.corpus("wrong")}
    for name, label, rarity, *_ in rows:
        text = (score.CORPUS / "wrong" / f"{name}.py").read_text()
        assert f"Class: {label}." in text and f"Rarity: {rarity}." in text, name
    small = sum(int(row[4]) <= score.SMALL for row in rows)
    said = [sum(row[5] == word for row in rows) for word in ("right", "wrong", "unknown")]
    found = re.search(
        r"^\| all \| (\d+) \| \d+ \| (\d+) \| \d+ \| [\d.]+ \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.M
    )
    assert list(map(int, found.groups())) == [len(rows), len(rows), small, *said]


def test_the_page_shows_what_the_readme_claims(page):
    """At least 95 % in quick, no right one accused, four diagnoses of five right and one of twenty wrong at most."""
    total, quick, standard, small, right, wrong, unknown = map(
        int,
        re.search(
            r"^\| all \| (\d+) \| (\d+) \| (\d+) \| \d+ \| [\d.]+ \| (\d+) \| (\d+) \| (\d+) \| (\d+) \|$", page, re.M
        ).groups(),
    )
    assert standard == total and quick >= 0.95 * total and small >= 0.9 * total
    assert right >= 0.8 * total and wrong <= 0.05 * total
    judged = len(score.corpus("right"))
    assert f"- quick, {judged} judged: none\n- standard, {judged} judged: none\n" in page
    said = " ".join((score.PAGE.parent / "README.md").read_text().split())
    assert f"holds {total} faulty and {judged} unusual" in said and f"{quick} in `quick`" in said
    assert "no correct one is accused in either" in said
    shares = [f"{100 * n / total:.0f} %" for n in (right, unknown, wrong)]
    assert re.search(rf"right in {shares[0]} of the cases, none in {shares[1]}, another one in {shares[2]} ", said)
