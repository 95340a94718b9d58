"""A covering design: rows of feature values such that every feasible combination of three occurs in some row."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from functools import cache, cached_property
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
        self._rules = [tuple(rule.items()) for rule in self.never]
        self.ruled = {f for rule in self.never for f in rule}  # features that some rule is about

    def feasible(self, row: Mapping[str, str]) -> bool:
        """Whether no rule forbids what the (partial) row says."""
        for rule in self._rules:
            for feature, values in rule:
                if row.get(feature) not in values:
                    break
            else:
                return False
        return True

    def plain(self) -> Row:
        return {name: values[0] for name, values in self.features.items()}

    def triples(self) -> set[frozenset[tuple[str, str]]]:
        """Every combination of three features that some row of the design holds."""
        return {t for row in self.rows for t in triples_of(row)}

    @cached_property
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
    """Greedy: start each row from a triple not yet covered, complete it with the values that cover most.

    Every value of every feature is one bit, a combination the sum of its bits.
    """
    bits = _bits(plan)
    waiting = _possible(plan, bits)
    chooser = random.Random(1)
    rows: list[Row] = []
    plain = plan.plain()
    if plan.feasible(plain):
        rows.append(plain)
        _cover(waiting, plain, bits)
    order = list(waiting)
    chooser.shuffle(order)
    for triple in order:
        if triple not in waiting:
            continue
        row = _complete(plan, dict(waiting.pop(triple)), waiting, bits, chooser)
        if row is not None:  # a triple that no row can complete is not asked for again
            rows.append(row)
            _cover(waiting, row, bits)
    return tuple(sorted(rows, key=plan.distance)) or (plain,)


Bits = dict[tuple[str, str], int]
Waiting = dict[int, tuple[tuple[str, str], ...]]


def _bits(plan: Design) -> Bits:
    items = [(name, value) for name, values in plan.features.items() for value in values]
    return {item: 1 << i for i, item in enumerate(items)}


def _possible(plan: Design, bits: Bits) -> Waiting:
    """Every triple that no rule forbids."""
    out: Waiting = {}
    for names in combinations(plan.features, 3):
        for values in product(*(plan.features[name] for name in names)):
            triple = tuple(zip(names, values, strict=True))
            if plan.feasible(dict(triple)):
                out[bits[triple[0]] | bits[triple[1]] | bits[triple[2]]] = triple
    return out


def _cover(waiting: Waiting, row: Row, bits: Bits) -> None:
    for p, q, r in combinations([bits[item] for item in row.items()], 3):
        waiting.pop(p | q | r, None)


def _complete(plan: Design, row: Row, waiting: Waiting, bits: Bits, chooser: random.Random) -> Row | None:
    rest = [name for name in plan.features if name not in row]
    chooser.shuffle(rest)
    rest.sort(key=lambda name: name not in plan.ruled)  # what can fail comes first
    return _extend(plan, row, rest, waiting, bits, chooser)


def _extend(
    plan: Design, row: Row, rest: Sequence[str], waiting: Waiting, bits: Bits, chooser: random.Random
) -> Row | None:
    """The row with the rest filled in, best values first; None where nothing completes it."""
    if not rest:
        return row
    name, *others = rest
    choices = [v for v in plan.features[name] if plan.feasible({**row, name: v})]
    pairs = [p | q for p, q in combinations([bits[item] for item in row.items()], 2)]
    gain = {v: sum(1 for pair in pairs if pair | bits[name, v] in waiting) for v in choices}
    for value in sorted(chooser.sample(choices, len(choices)), key=lambda v: -gain[v]):
        done = _extend(plan, {**row, name: value}, others, waiting, bits, chooser)
        if done is not None:
            return done
    return None
