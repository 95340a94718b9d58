"""Arrays, counts and coverage laid out as pictures in numbers; the page's template draws them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

import numpy as np

from refconv.dtypes import Array, Float64Array
from refconv.spec import Sizes

__all__ = ["TONES", "Bar", "Bars", "Cell", "HeatMap", "Matrix", "bars", "heat_maps", "largest", "matrix", "number"]

SIDE = 12  # most rows and columns drawn of an array
PLANES = 2  # most planes (last two axes) drawn of an array
STEPS = 5  # from zero to the largest absolute value
TONES = (*(f"n{i}" for i in range(STEPS, 0, -1)), "z", *(f"p{i}" for i in range(1, STEPS + 1)))
HEIGHT, LETTER, MARGIN = 30, 8, 22  # of a cell, of a character of its text, of the space for positions; in pixels


@dataclass(frozen=True)
class Cell:
    """One element: where it is drawn, its tone and marks, its value in short, and in full where that differs."""

    x: int
    y: int
    tone: str
    text: str
    full: str
    marks: tuple[str, ...]


@dataclass(frozen=True)
class HeatMap:
    """Part of an array in its last two axes; `rows` and `columns` are the positions it shows."""

    name: str
    part: str  # as NumPy would write it
    whole: bool
    cells: Sequence[Cell]
    rows: Sequence[tuple[int, int]]  # position in the array, place in the picture
    columns: Sequence[tuple[int, int]]
    side: int  # width of a cell
    width: int
    height: int


def number(value: float) -> str:
    """Short enough for a cell.

    >>> number(-2.0), number(1.5e-8), number(float("inf")), number(0.1), number(-0.0)
    ('-2', '1.5e-8', '∞', '0.1', '-0')
    """
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "∞" if value > 0 else "-∞"
    if value == int(value) and abs(value) < 1e5:
        return f"{value:.0f}"
    mantissa, e, exponent = f"{value:.3g}".partition("e")
    return f"{mantissa}e{int(exponent)}" if e else mantissa


def largest(*arrays: Array) -> float:
    """The largest finite absolute value."""
    finite = [a[np.isfinite(a)] for a in map(_wide, arrays)]
    return float(max((np.abs(a).max() for a in finite if a.size), default=0.0))


def _wide(array: Array) -> Float64Array:
    return np.asarray(array).astype(np.float64)


def heat_maps(
    name: str, array: Array, scale: float, marks: Mapping[str, Array] | None = None, at: Sizes | None = None
) -> list[HeatMap]:
    """The planes of an array in which something is marked, or the first ones; the element `at` is always shown.

    Of a plane with many rows or columns the part around what is marked is drawn. `scale` is the value of the
    strongest tone.
    """
    values = _wide(array)
    flat = np.atleast_2d(values)
    masks = {mark: np.asarray(mask).reshape(flat.shape) for mark, mask in (marks or {}).items()}
    if at is not None:
        masks["at"] = np.zeros(flat.shape, dtype=bool)
        masks["at"].reshape(values.shape)[at] = True
    shown = np.any([*masks.values()], axis=0) if masks else np.zeros(flat.shape, dtype=bool)
    at = None if at is None else (*(0,) * (flat.ndim - len(at)), *at)
    out = []
    for plane in _planes(shown, at):
        here = at[-2:] if at is not None and at[:-2] == plane else (None, None)
        rows, columns = (_span(shown[plane].any(axis=1 - axis), here[axis]) for axis in (0, 1))
        part = _part(plane[flat.ndim - values.ndim :], (rows, columns)[2 - min(values.ndim, 2) :], values.shape)
        inside = {mark: mask[plane] for mark, mask in masks.items()}
        out.append(_heat_map(name, part, flat[plane], scale, inside, rows, columns))
    return out


def _planes(shown: Array, at: Sizes | None) -> list[Sizes]:
    """Leading indices: that of the element, then those where something is marked, else the first ones."""
    places = list(product(*map(range, shown.shape[:-2])))
    marked = [p for p in places if shown[p].any()]
    first = [at[:-2]] if at else []
    return list(dict.fromkeys([*first, *(marked or ([] if at else places))]))[:PLANES] if shown.size else []


def _span(marked: Array, here: int | None) -> range:
    """At most SIDE positions of an axis, around the element or the middle of what is marked."""
    n, places = len(marked), np.flatnonzero(marked)
    middle = here if here is not None else int(places[0] + places[-1]) // 2 if places.size else 0
    start = min(max(0, middle - SIDE // 2), max(0, n - SIDE))
    return range(start, min(n, start + SIDE))


def _part(plane: Sizes, spans: Sequence[range], shape: Sizes) -> str:
    axes = zip(spans, shape[-len(spans) :], strict=True)
    cut = [":" if len(s) == n else f"{s.start}:{s.stop}" for s, n in axes]
    while cut and cut[-1] == ":":
        cut.pop()
    inside = ", ".join([*map(str, plane), *cut])
    return f"[{inside}]" if inside else ""


def _heat_map(
    name: str,
    part: str,
    plane: Float64Array,
    scale: float,
    masks: Mapping[str, Array],
    rows: Sequence[int],
    columns: Sequence[int],
) -> HeatMap:
    texts = {(i, j): number(float(plane[i, j])) for i in rows for j in columns}
    side = max(HEIGHT, LETTER * max(map(len, texts.values()), default=0) + 16)
    cells = [
        Cell(
            MARGIN + side * x,
            MARGIN + HEIGHT * y,
            _tone(float(plane[i, j]), scale),
            texts[i, j],
            "" if texts[i, j] in (full := repr(float(plane[i, j])), full.removesuffix(".0")) else full,
            tuple(mark for mark, mask in masks.items() if mask[i, j]),
        )
        for y, i in enumerate(rows)
        for x, j in enumerate(columns)
    ]
    return HeatMap(
        name,
        part,
        len(cells) == plane.size,
        cells,
        [(i, MARGIN + HEIGHT * y) for y, i in enumerate(rows)],
        [(j, MARGIN + side * x) for x, j in enumerate(columns)],
        side,
        MARGIN + side * len(columns) + 2,
        MARGIN + HEIGHT * len(rows) + 2,
    )


def _tone(value: float, scale: float) -> str:
    """One of TONES by sign and size, or one of its own for what is no number."""
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf"
    if value == 0:
        return "z"
    step = min(STEPS, max(1, math.ceil(STEPS * abs(value) / scale))) if scale else 1
    return f"{'p' if value > 0 else 'n'}{step}"


# --------------------------------------------------------------------------------------------- histogram


@dataclass(frozen=True)
class Bar:
    """One bar of a histogram; the y axis points down."""

    x: float
    y: float
    width: float
    height: float
    label: str
    count: int
    kind: str


@dataclass(frozen=True)
class Bars:
    """A histogram in a box of this size; the bars stand on `base`."""

    width: float
    base: float
    bars: Sequence[Bar]


WIDE, HIGH, TOP = 42, 120, 18  # of a bar with its gap, of the highest, of the space above; in pixels


def bars(counts: Sequence[tuple[str, int, str]]) -> Bars:
    """A histogram of (label, count, kind).

    >>> [(bar.y, bar.height) for bar in bars([("0", 4, "exact"), ("0.1", 1, "")]).bars]
    [(18.0, 120.0), (108.0, 30.0)]
    """
    top = max((count for _, count, _ in counts), default=0)
    drawn = []
    for i, (label, count, kind) in enumerate(counts):
        height = max(2.0, HIGH * count / top) if count else 0.0
        drawn.append(Bar(WIDE * i + 4.0, TOP + HIGH - height, WIDE - 8.0, height, label, count, kind))
    return Bars(float(WIDE * len(counts)), float(TOP + HIGH), drawn)


# ---------------------------------------------------------------------------------------------- coverage

Item = tuple[str, str]  # feature, value
LEVELS = 4  # steps of the share of a pair's triples that were met


@dataclass(frozen=True)
class Matrix:
    """Every two values of features: which met on a case, and in how many of the feasible threes.

    `paths` holds one path for each level in squares of one unit: 0 for pairs that never met. A label stands right
    of the square of a value with itself.
    """

    items: Sequence[Item]
    firsts: Sequence[int]  # where a feature's values begin
    paths: Mapping[int, str]
    missed: Sequence[tuple[Item, Item]]


def matrix(features: Mapping[str, Sequence[str]], met: Collection[frozenset[Item]], feasible: Any) -> Matrix:
    """The matrix of a covering design, from the triples that were met and the feasible ones."""
    items = [(name, value) for name, values in features.items() for value in values]
    rank = {item: i for i, item in enumerate(items)}
    possible: Counter[tuple[int, int]] = Counter()
    found: Counter[tuple[int, int]] = Counter()
    for triple in feasible:
        ranks = sorted(rank[item] for item in triple)
        pairs = [*combinations(ranks, 2), *((r, r) for r in ranks)]
        possible.update(pairs)
        if triple in met:
            found.update(pairs)
    levels = {pair: math.ceil(LEVELS * found[pair] / count) for pair, count in possible.items()}
    missed = [(items[a], items[b]) for (a, b), level in sorted(levels.items()) if level == 0 and a != b]
    firsts = [rank[name, values[0]] for name, values in features.items() if values]
    return Matrix(items, firsts, {level: _path(levels, level, len(items)) for level in range(LEVELS + 1)}, missed)


def _path(levels: Mapping[tuple[int, int], int], level: int, n: int) -> str:
    """The squares of one level below the diagonal: small ones for level 0, else those in a row as one rectangle."""
    if level == 0:
        return "".join(f"M{column}.25 {row}.25h.5v.5h-.5z" for (column, row), n in levels.items() if n == 0)
    return "".join(
        f"M{start} {row}h{length}v1h-{length}z"
        for row in range(n)
        for start, length in _runs([levels.get((column, row)) == level for column in range(row + 1)])
    )


def _runs(where: Sequence[bool]) -> Iterator[tuple[int, int]]:
    start = None
    for i, inside in enumerate([*where, False]):
        if inside and start is None:
            start = i
        elif not inside and start is not None:
            yield start, i - start
            start = None
