"""Operands are read otherwise than they are: turned kernels, lost taps, mixed channels, groups and images."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np

from refconv.hypotheses.bend import AXES, Edit, edited, scaled, with_spec
from refconv.hypotheses.fault import Fault
from refconv.spec import Case, Sizes

__all__ = ["GROUP_ORDERS", "faults", "regrouped"]


def faults(case: Case) -> Iterator[Fault]:
    """Every other reading of an operand."""
    for kind, words, name, edit in _rows(case):
        yield Fault(kind, words, partial(edited, name, edit))
    if case.operation.kind == "conv":
        yield Fault("group mix-up", "reads input channel o % C for output channel o of a depthwise call", _multiplier)
    if case.operation.rank == 0:
        yield Fault("wrong axis", "exchanges the two operands", _operands_exchanged)


def _rows(case: Case) -> Iterator[tuple[str, str, str, Edit]]:
    """(kind, words, operand, edit)."""
    rank = case.operation.rank
    weight = "in2" if rank == 0 else "weight"
    if weight in case.operands:
        yield from _orientation(weight, case)
        yield from _taps(weight, case)
    if "weight" in case.operands:
        yield from _channel_rows(case)
    for name in ("input", "grad_output"):
        if name in case.operands:
            yield "batch mix-up", f"leaves out the last image of `{name}`", name, partial(scaled, 0, np.s_[-1:])
            yield "batch mix-up", f"uses the first image of `{name}` only", name, partial(scaled, 0, np.s_[1:])
            for i, axis in enumerate(AXES[rank]):
                where = (..., slice(-1, None), *(slice(None),) * (rank - 1 - i))
                yield "border or halo", f"leaves out the end of {axis} of `{name}`", name, partial(scaled, 0, where)


def _orientation(name: str, case: Case) -> Iterator[tuple[str, str, str, Edit]]:
    a = case.operands[name]
    axes = tuple(range(-(case.operation.rank or 3), 0))
    yield "flipped kernel", f"reads `{name}` backwards on every axis", name, partial(_flip, axes)
    for some in (s for size in range(1, len(axes)) for s in combinations(axes, size)):
        words = f"reads `{name}` backwards along axis {' and '.join(map(str, some))}"
        yield "flipped kernel", words, name, partial(_flip, some)
    if np.iscomplexobj(a):
        yield "conjugation", f"does not conjugate `{name}`", name, lambda a, case: a.conj()
    for i, j in combinations(axes[: 3 * (name == "weight")], 2):
        yield "transposed kernel", f"exchanges the axes {i} and {j} of `{name}`", name, partial(_exchange, i, j)
    if name == "weight":
        yield "transposed kernel", "takes the first axis of `weight` for the second", name, partial(_exchange, 0, 1)


def _flip(axes: Sizes, a: Any, case: Case) -> Any:
    return np.flip(a, tuple(i for i in axes if -a.ndim <= i < a.ndim))


def _exchange(i: int, j: int, a: Any, case: Case) -> Any:
    return np.swapaxes(a, i, j) if a.shape[i] == a.shape[j] else a


def _taps(name: str, case: Case) -> Iterator[tuple[str, str, str, Edit]]:
    rank = case.operation.rank or case.operands[name].ndim
    last, first, every = (-1,) * rank, (0,) * rank, (slice(None),) * rank
    channel = (slice(None),) if case.operation.rank else ()
    ends = [("last", last), ("first", first)]
    for word, tap in ends:
        rows: list[tuple[str, Any]] = [(f"the {word} tap of every channel", (..., *tap))]
        if channel:
            rows += [
                (f"the {word} tap of the {w} channel", (slice(None), i, *tap)) for w, i in (("last", -1), ("first", 0))
            ]
        for words, where in rows:
            yield "dropped tap", f"leaves out {words}", name, partial(scaled, 0, where)
            yield "doubled tap", f"counts {words} twice", name, partial(scaled, 2, where)
    for i in range(rank):
        for word, cut in (("last", slice(-1, None)), ("first", slice(0, 1))):
            where = (..., *every[:i], cut, *every[i + 1 :])
            yield "dropped tap", f"leaves out the {word} taps along axis {i - rank}", name, partial(scaled, 0, where)
    yield "dropped tap", "leaves out what is beyond a multiple of four taps", name, _without_tail
    if rank > 1:
        yield "wrong axis", "takes the kernel's width for its height", name, partial(_square, -1, -2)
        yield "wrong axis", "takes the kernel's height for its width", name, partial(_square, -2, -1)
    second = (*first[:-1], 1)
    yield "swapped taps", "exchanges the first two taps", name, partial(_swapped, (..., *first), (..., *second))
    yield "swapped taps", "exchanges the first and the last tap", name, partial(_swapped, (..., *first), (..., *last))
    if channel:
        pair = (slice(None), 0, *first), (slice(None), 0, *second)
        yield "swapped taps", "exchanges the first two taps of the first channel", name, partial(_swapped, *pair)


def _swapped(first: Any, second: Any, a: Any, case: Case) -> Any:
    left, right = a[first].copy(), a[second].copy()
    a[first], a[second] = right, left
    return a


def _without_tail(a: Any, case: Case) -> Any:
    size = a.shape[-1]
    return scaled(0, (..., slice(size - size % 4, None)), a, case) if size > 4 else a


def _square(source: int, axis: int, a: Any, case: Case) -> Any:
    where = [slice(None)] * a.ndim
    where[axis] = slice(a.shape[source], None)
    return scaled(0, tuple(where), a, case)


_ORDERS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("in reversed order", lambda i: i[::-1]),
    ("one place beside", lambda i: np.roll(i, 1)),
    ("one place beside, the other way", lambda i: np.roll(i, -1)),
)


GROUP_ORDERS: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("uses the groups in reversed order", lambda i: i[::-1]),
    ("uses the first group for every group", lambda i: 0 * i),
    ("uses the second group from there on", lambda i: np.minimum(i, 1)),
    ("uses the group before", lambda i: np.roll(i, 1)),
    ("uses the group behind", lambda i: np.roll(i, -1)),
)


def _channel_rows(case: Case) -> Iterator[tuple[str, str, str, Edit]]:
    transposed = case.operation.kind == "conv_transpose"
    side = 0 if transposed else 1
    for word, index in (("last", slice(-1, None)), ("first", slice(0, 1))):
        where = (slice(None),) * side + (index,)
        yield "channel mix-up", f"leaves out the {word} channel", "weight", partial(scaled, 0, where)
    for words, order in _ORDERS:
        yield "channel mix-up", f"reads the channels of `input` {words}", "input", partial(_reorder, order)
    for words, groups in GROUP_ORDERS:
        yield "group mix-up", f"{words} of `input`", "input", partial(_regroup, groups, "in")
        yield "group mix-up", f"{words} of `weight`", "weight", partial(_regroup, groups, "out")
    yield "group mix-up", "deals the input channels out to the groups one by one", "input", partial(_deal, False)
    yield "group mix-up", "gathers every so manyth input channel for a group", "input", partial(_deal, True)


def _reorder(order: Callable[[Any], Any], a: Any, case: Case) -> Any:
    """Inside each group."""
    per = a.shape[1] // case.conv.groups
    return a[:, [g * per + i for g in range(case.conv.groups) for i in order(np.arange(per))]]


def _regroup(order: Callable[[Any], Any], side: str, a: Any, case: Case) -> Any:
    groups = case.conv.groups
    axis = 1 if side == "in" else 0
    per = a.shape[axis] // groups
    return np.take(a, [g * per + i for g in order(np.arange(groups)) for i in range(per)], axis)


def regrouped(order: Callable[[Any], Any], a: Any, case: Case) -> Any:
    """The second axis with its groups in another order."""
    return _regroup(order, "in", a, case)


def _deal(back: bool, a: Any, case: Case) -> Any:
    groups, n = case.conv.groups, a.shape[1]
    shape = (n // groups, groups) if back else (groups, n // groups)
    return a[:, np.arange(n).reshape(shape).T.ravel()]


def _multiplier(case: Case) -> Case | None:
    """Depthwise: output channel o reads input channel o % C."""
    x, w = case.operands["input"], case.operands["weight"]
    if w.shape[1] != 1 or case.operation.kind != "conv":
        return case
    return with_spec(case, replace(case.conv, groups=len(w)), input=x[:, np.arange(len(w)) % x.shape[1]])


def _operands_exchanged(case: Case) -> Case | None:
    return case.with_operands(in1=case.operands["in2"], in2=case.operands["in1"])
