"""A covering design: rows of feature values such that every feasible combination of three occurs in some row."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import combinations, product

__all__ = ["Design", "Row", "design"]

Row = dict[str, str]
Rule = Mapping[str, frozenset[str]]


class Design:
    """Features with their values, plainest first, and the combinations that cannot be."""

    def __init__(self, features: Mapping[str, Sequence[str]], never: Sequence[Mapping[str, Sequence[str]]]) -> None:
        self.features = {name: tuple(values) for name, values in features.items()}
        self.never: list[Rule] = [
            {f: frozenset(values) for f, values in rule.items()} for rule in never if all(f in features for f in rule)
        ]

    def feasible(self, row: Mapping[str, str]) -> bool:
        """Whether no rule forbids what the (partial) row says."""
        return not any(all(row.get(f) in values for f, values in rule.items()) for rule in self.never)

    def plain(self) -> Row:
        return {name: values[0] for name, values in self.features.items()}

    def triples(self) -> set[frozenset[tuple[str, str]]]:
        """Every combination of three features that some row of the design holds."""
        return {t for row in self.rows for t in triples_of(row)}

    @property
    def rows(self) -> tuple[Row, ...]:
        """The covering rows, plainest first; the same on every machine."""
        return design(self)

    def __hash__(self) -> int:
        return hash(tuple(self.features.items()))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Design) and (self.features, self.never) == (other.features, other.never)

    def distance(self, row: Row) -> int:
        """How far from plain: the sum of the ranks of its values."""
        return sum(self.features[f].index(v) for f, v in row.items())


def triples_of(row: Mapping[str, str]) -> list[frozenset[tuple[str, str]]]:
    """The combinations of three features in one row."""
    return [frozenset(t) for t in combinations(sorted(row.items()), 3)]


@cache
def design(plan: Design) -> tuple[Row, ...]:
    """Greedy: start each row from a triple not yet covered, complete it with the values that cover most."""
    names = list(plan.features)
    numbers = {name: i for i, name in enumerate(names)}
    open_triples = _possible(plan, names)
    order = sorted(open_triples)
    chooser = random.Random(1)
    chooser.shuffle(order)
    rows = [plan.plain()] if plan.feasible(plan.plain()) else []
    for row in rows:
        _remove(open_triples, row, numbers)
    for triple in order:
        if triple not in open_triples:
            continue
        open_triples.discard(triple)  # a triple that no row can complete is not asked for again
        completed = _complete(plan, {names[i]: v for i, v in triple}, open_triples, numbers, chooser)
        if completed is not None:
            rows.append(completed)
            _remove(open_triples, completed, numbers)
    return tuple(sorted(rows, key=plan.distance)) or (plan.plain(),)


Triple = tuple[tuple[int, str], tuple[int, str], tuple[int, str]]


def _possible(plan: Design, names: list[str]) -> set[Triple]:
    out: set[Triple] = set()
    for a, b, c in combinations(range(len(names)), 3):
        for u, v, w in product(*(plan.features[names[i]] for i in (a, b, c))):
            if plan.feasible({names[a]: u, names[b]: v, names[c]: w}):
                out.add(((a, u), (b, v), (c, w)))
    return out


def _remove(open_triples: set[Triple], row: Row, numbers: Mapping[str, int]) -> None:
    items = sorted((numbers[name], value) for name, value in row.items())
    open_triples.difference_update(combinations(items, 3))


def _complete(
    plan: Design, row: Row, open_triples: set[Triple], numbers: Mapping[str, int], chooser: random.Random
) -> Row | None:
    rest = [name for name in plan.features if name not in row]
    chooser.shuffle(rest)
    rest.sort(key=lambda name: not any(name in rule for rule in plan.never))  # what can fail comes first
    return _extend(plan, row, rest, open_triples, numbers, chooser)


def _extend(
    plan: Design,
    row: Row,
    rest: Sequence[str],
    open_triples: set[Triple],
    numbers: Mapping[str, int],
    chooser: random.Random,
) -> Row | None:
    """The row with the rest filled in, best values first; None where nothing completes it."""
    if not rest:
        return row
    name, *others = rest
    choices = [v for v in plan.features[name] if plan.feasible({**row, name: v})]
    pairs = list(combinations(sorted((numbers[n], v) for n, v in row.items()), 2))
    gain = {v: sum(_sorted(p, q, (numbers[name], v)) in open_triples for p, q in pairs) for v in choices}
    for value in sorted(chooser.sample(choices, len(choices)), key=lambda v: -gain[v]):
        done = _extend(plan, {**row, name: value}, others, open_triples, numbers, chooser)
        if done is not None:
            return done
    return None


def _sorted(p: tuple[int, str], q: tuple[int, str], item: tuple[int, str]) -> Triple:
    if item < p:
        return (item, p, q)
    return (p, item, q) if item < q else (p, q, item)
