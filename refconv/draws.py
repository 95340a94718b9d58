"""Draws a law's values many at a time; what breaks the law Hypothesis draws again, alone, to shrink and remember it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from itertools import count as counting
from math import ceil, gcd
from random import Random
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, control, core, errors, settings
from hypothesis import strategies as st
from hypothesis.database import ExampleDatabase, choices_to_bytes
from hypothesis.internal.conjecture import providers

__all__ = ["Drawn", "Values", "chooser", "each", "known", "recall", "remember", "shrink"]

BATCH = 16  # how much one example of Hypothesis draws; it costs about a millisecond, whatever that is
ROOTS = st.integers(0, 2**24 - 1)
Values = dict[str, Any]
Draw = Callable[[st.SearchStrategy[Any]], Any]


@dataclass(frozen=True)
class Drawn:
    """What was drawn for a law, and the choices by which Hypothesis draws the same."""

    values: Values
    choices: tuple[Any, ...]


# ------------------------------------------------------------------------------- choices without Hypothesis


class _Plain(Random):
    """Chooses as `st.randoms` does at a fraction of the cost, and keeps what it chose.

    Its first choice, of a row of a covering design, is made in turn: every row is met before one comes again.
    """

    def __init__(self, seed: str, turn: int, place: int) -> None:
        super().__init__(seed)
        self.turn: int | None = turn
        self.place = place  # how many choices Hypothesis had made before
        self.made: list[int] = []

    def _number(self, count: int) -> int:
        turn, self.turn = self.turn, None
        return int(self.random() * count) if turn is None else _leaping(turn, count)

    def randint(self, a: int, b: int) -> int:
        """From a to b, both included."""
        chosen = a + self._number(b - a + 1)
        self.made.append(chosen)
        return chosen

    def choice(self, seq: Any) -> Any:
        """One of a sequence."""
        self.made.append(index := self._number(len(seq)))
        return seq[index]


def _leaping(turn: int, count: int) -> int:
    """Where in 0 to count - 1 a walk is that meets all before one comes again, neighbours far from each other.

    >>> [_leaping(turn, 10) for turn in range(12)]
    [0, 7, 4, 1, 8, 5, 2, 9, 6, 3, 0, 7]
    """
    step = next(s for s in counting(max(1, round(0.618 * count))) if gcd(s, count) == 1)
    return turn * step % count


_PLAINLY: ContextVar[Callable[[], Random] | None] = ContextVar("_PLAINLY", default=None)


def chooser(draw: Draw) -> Random:
    """What makes the choices of a strategy: Hypothesis, or inside of `each` something quicker."""
    plainly = _PLAINLY.get()
    return plainly() if plainly else draw(st.randoms(use_true_random=False))


@contextmanager
def _plainly(seed: str, turn: int) -> Iterator[list[_Plain]]:
    made: list[_Plain] = []

    def one() -> Random:
        made.append(_Plain(f"{seed}:{len(made)}", turn, len(_choices())))
        return made[-1]

    token = _PLAINLY.set(one)
    try:
        yield made
    finally:
        _PLAINLY.reset(token)


def _choices() -> tuple[Any, ...]:
    """Those that Hypothesis has made for the example that it is drawing."""
    return control.current_build_context().data.choices


@st.composite
def _batch(draw: Draw, values: st.SearchStrategy[Values], size: int, key: int, turns: Iterator[int]) -> list[Drawn]:
    root = draw(ROOTS)
    if not root:  # Hypothesis begins with its plainest example, which has the same numbers everywhere
        return []
    return [_one(draw, values, f"{key}:{root}:{i}", next(turns)) for i in range(size)]


def _one(draw: Draw, values: st.SearchStrategy[Values], seed: str, turn: int) -> Drawn:
    start = len(_choices())
    with _plainly(seed, turn) as plain:
        drawn = draw(values)
    made = list(_choices())
    for source in reversed(plain):
        made[source.place : source.place] = source.made
    return Drawn(drawn, tuple(made[start:]))


# ------------------------------------------------------------------------------------- Hypothesis' three parts


def each(values: st.SearchStrategy[Values], count: int, key: int, look: Callable[[Drawn], bool]) -> None:
    """Draw so many values and look at each, until a look returns False; a key always draws the same."""
    batches = ceil(count / BATCH)
    batch = _batch(values, ceil(count / batches), key, counting(key))
    left, failed = count, list[Exception]()

    def run(drawn: list[Drawn]) -> None:
        nonlocal left
        for one in drawn:
            if not left:
                return
            left -= 1
            try:
                left = left if look(one) else 0
            except Exception as error:  # the law's own, which Hypothesis would first ask for again
                failed.append(error)
                left = 0

    chosen = _settings(max_examples=batches + 1, phases=(Phase.generate,), database=None)
    with _repeatable():
        # a lambda, because Hypothesis reads the source of what it runs
        hypothesis.seed(key)(chosen(hypothesis.given(batch)(lambda drawn: run(drawn))))()
    if failed:
        raise failed[0]


def known(database: ExampleDatabase, key: bytes) -> bool:
    """Whether something is remembered under a key."""
    return any(True for _ in database.fetch(key))


def recall(
    values: st.SearchStrategy[Values], database: ExampleDatabase, key: bytes, look: Callable[[Drawn], bool]
) -> None:
    """Look at what is remembered under a key; forget it where the look returns True."""
    if known(database, key):
        _find(values, lambda drawn: not look(Drawn(drawn, ())), database, key, (Phase.reuse,))


def remember(drawn: Drawn, database: ExampleDatabase, key: bytes) -> None:
    """Keep what was drawn under a key."""
    if drawn.choices:  # and one too many: what fits exactly Hypothesis takes for shrunk before
        database.save(key, choices_to_bytes((*drawn.choices, 0)))


def shrink(
    values: st.SearchStrategy[Values],
    drawn: Drawn,
    fails: Callable[[Values], bool],
    database: ExampleDatabase,
    key: bytes,
) -> bool:
    """Ask again for what was drawn, then for ever simpler values; False where it does not fail every time.

    The simplest that failed is remembered under the key.
    """
    remember(drawn, database, key)
    return _find(values, fails, database, key, (Phase.reuse, Phase.shrink))


def _find(
    values: st.SearchStrategy[Values],
    wanted: Callable[[Values], bool],
    database: ExampleDatabase,
    key: bytes,
    phases: tuple[Phase, ...],
) -> bool:
    chosen = _settings(phases=phases, database=database)
    try:
        with _repeatable():
            hypothesis.find(values, lambda drawn: wanted(drawn), settings=chosen, database_key=key)
    except (errors.NoSuchExample, errors.Flaky):
        return False
    return True


def _settings(**chosen: Any) -> settings:
    # how long a subject takes, and how much is drawn at once, is no fault of a law's
    return settings(
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        print_blob=False,
        **chosen,
    )


@contextmanager
def _repeatable() -> Iterator[None]:
    """Hypothesis draws and shrinks the same every time, whatever code is loaded.

    It would mix numbers that it finds in loaded code into what it draws: here it finds none. And a search that asks
    what is remembered takes no seed: here its generator of random numbers starts anew.
    """
    found = getattr(providers, "_get_local_constants", None)
    if hasattr(core, "threadlocal"):
        core.threadlocal._hypothesis_global_random = Random(0)
    if found is None or not hasattr(providers, "Constants"):  # a version that does not
        yield
        return
    nothing = providers.Constants()
    providers.CONSTANTS_CACHE.cache.clear()
    providers._get_local_constants = lambda: nothing
    try:
        yield
    finally:
        providers._get_local_constants = found
        providers.CONSTANTS_CACHE.cache.clear()
