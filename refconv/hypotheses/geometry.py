"""Other places are read or written than stride, padding, dilation and mode say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from itertools import permutations
from typing import Any

from refconv.exact import Form
from refconv.hypotheses.bend import (
    AXES,
    Spec,
    arranged,
    extents,
    kernel_size,
    moved,
    products,
    size_kept,
    spec_of,
    with_spec,
)
from refconv.hypotheses.fault import Fault
from refconv.spec import Case, Sizes, conv_spec, transposed_spec

__all__ = ["faults"]

Change = Callable[[Spec, Case], Spec]
_PLAIN = {"stride": 1, "dilation": 1, "padding": (0, 0)}


_PAD_ROWS: tuple[tuple[str, str, Callable[[int, int], tuple[int, int]]], ...] = (
    ("border or halo", "puts all the padding before the data", lambda a, b: (a + b, 0)),
    ("border or halo", "puts all the padding behind the data", lambda a, b: (0, a + b)),
    ("border or halo", "exchanges the padding before and behind the data", lambda a, b: (b, a)),
    ("shifted", "starts one place too early", lambda a, b: (a + 1, b - 1)),
    ("shifted", "starts one place too late", lambda a, b: (a - 1, b + 1)),
    ("shifted", "starts one place too early where there is padding",
     lambda a, b: (a + 1, b - 1) if b else (a, b)),
    ("shifted", "starts one place too late where there is padding",
     lambda a, b: (a - 1, b + 1) if a else (a, b)),
    ("output size rule", "pads one place too little behind the data", lambda a, b: (a, b - 1)),
    ("output size rule", "pads one too little behind the data where there is padding",
     lambda a, b: (a, max(b - 1, 0))),
    ("output size rule", "pads one place too much behind the data", lambda a, b: (a, b + 1)),
)  # fmt: skip


_EXTRA_ROWS: tuple[tuple[str, str, Callable[[Sizes], Sizes]], ...] = (
    ("ignored argument", "ignores `output_padding`", lambda e: (0,) * len(e)),
    ("wrong axis", "exchanges `output_padding` between axes", lambda e: e[::-1]),
)


def faults(case: Case) -> Iterator[Fault]:
    """Every other geometry of the call; signals have other crops of the full result instead."""
    if case.operation.rank == 0:
        yield from _modes(case)
        return
    for kind, words, change in _geometry(case):
        for keep in (False, True):
            yield Fault(kind, words, partial(_bend, change, keep))
    if case.operation.kind == "conv_transpose":
        for kind, words, order in _EXTRA_ROWS:
            yield Fault(kind, words, partial(_bend_extra, order))
        yield Fault("shifted", "puts `output_padding` before the data", _extra_before, _late_products)
    if case.operation.kind == "max_pool":
        yield Fault("pooling rule", "keeps windows of ceil mode that start in the padding", _ceil_extra)


def _geometry(case: Case) -> Iterator[tuple[str, str, Change]]:
    """(kind, words, change) for the operation's rank."""
    rank, pool = case.operation.rank, "pool" in case.operation.kind
    axes = AXES[rank]
    for name in ("stride", "dilation", "padding"):
        yield "ignored argument", f"ignores `{name}`", partial(_without, name, None)
        for i, axis in enumerate(axes[: rank * (rank > 1)]):
            yield "ignored argument", f"ignores `{name}` along {axis}", partial(_without, name, i)
    for name in ("stride", "dilation", "padding", *(("kernel_size",) if pool else ())):
        for order in permutations(range(rank)):
            if order != tuple(range(rank)):
                yield "wrong axis", f"exchanges `{name}` between axes {order}", partial(_reordered, name, order)
        for i, j in permutations(range(rank), 2):
            words = f"takes `{name}` of {axes[i]} from {axes[j]}"
            yield "wrong axis", words, partial(_from_axis, name, i, j)
    for kind, words, pads in _PAD_ROWS:
        yield kind, words, partial(_pads, pads, None)
        for i, axis in enumerate(axes[: rank * (rank > 1)]):
            yield kind, f"{words}, along {axis}", partial(_pads, pads, i)
    yield "output size rule", "rounds the output size up", _rounded_up
    yield "ignored argument", "takes every `dilation` above 2 for 2", _capped_dilation
    yield "ignored argument", "takes a `stride` above the kernel's size for that size", _capped_stride
    if pool:
        for i, axis in enumerate(axes):
            yield "dropped tap", f"leaves out the last cell of a window along {axis}", partial(_smaller_window, i)
        yield "ignored argument", "ignores `ceil_mode`", partial(_flag, "ceil_mode", False)
        yield "ignored argument", "ignores `count_include_pad`", partial(_flag, "count_include_pad", True)
        yield "ignored argument", "never counts the padding", partial(_flag, "count_include_pad", False)
    elif case.operation.kind != "conv_transpose":
        yield "ignored argument", 'ignores `dilation` in "same" padding', partial(_same_padding, "same", True, "same")
        words = 'puts the odd cell of "same" padding before the data'
        yield "border or halo", words, partial(_same_padding, "same", False, "same_lower")
        yield "ignored argument", 'pads though `padding` is "valid"', _valid_padded


def _bend(change: Change, keep: bool, case: Case) -> Case | None:
    """The call with another geometry; `keep`: the size of the result stays as it must be."""
    spec = spec_of(case)
    bent = change(spec, case)
    if bent == spec:
        return case
    if case.operation.kind.startswith("avg"):  # other padding would change what an average divides by
        return None if keep else with_spec(case, bent)
    return with_spec(case, size_kept(bent, case) if "backward" in case.operation.kind or keep else bent)


def _set(values: tuple[Any, ...], axis: int, value: Any) -> tuple[Any, ...]:
    return (*values[:axis], value, *values[axis + 1 :])


def _without(name: str, axis: int | None, spec: Spec, case: Case) -> Spec:
    old = getattr(spec, name)
    new = (_PLAIN[name],) * len(old) if axis is None else _set(old, axis, _PLAIN[name])
    return replace(spec, **{name: new})


def _from_axis(name: str, to: int, source: int, spec: Spec, case: Case) -> Spec:
    old = getattr(spec, name)
    return replace(spec, **{name: _set(old, to, old[source])})


def _reordered(name: str, order: Sizes, spec: Spec, case: Case) -> Spec:
    names = (name, "stride") if name == "kernel_size" and case.settings["stride"] is None else (name,)
    return replace(spec, **{n: tuple(getattr(spec, n)[i] for i in order) for n in names})


def _pads(change: Callable[[int, int], tuple[int, int]], axis: int | None, spec: Spec, case: Case) -> Spec:
    pads = tuple(change(*p) if axis in (None, i) else p for i, p in enumerate(spec.padding))
    return replace(spec, padding=pads)


def _rounded_up(spec: Spec, case: Case) -> Spec:
    axes = zip(case.operands["input"].shape[2:], spec.padding, extents(spec, case), spec.stride, strict=True)
    return replace(spec, padding=tuple((a, b + -(n + a + b - e) % s) for n, (a, b), e, s in axes))


def _capped_dilation(spec: Spec, case: Case) -> Spec:
    return replace(spec, dilation=tuple(min(d, 2) for d in spec.dilation))


def _valid_padded(spec: Spec, case: Case) -> Spec:
    if case.settings["padding"] != "valid":
        return spec
    return replace(spec, padding=tuple(((e - 1) // 2,) * 2 for e in extents(spec, case)))


def _capped_stride(spec: Spec, case: Case) -> Spec:
    return replace(spec, stride=tuple(min(s, k) for s, k in zip(spec.stride, kernel_size(spec, case), strict=True)))


def _same_padding(argument: str, undilated: bool, like: str, spec: Spec, case: Case) -> Spec:
    """Padding of a call that says `argument` computed as for `like`, perhaps without the dilation."""
    if case.settings["padding"] != argument:
        return spec
    dilation = 1 if undilated else spec.dilation
    other = conv_spec(case.operation.rank, kernel_size(spec, case), 1, like, dilation)
    return replace(spec, padding=other.padding)


def _smaller_window(axis: int, spec: Spec, case: Case) -> Spec:
    return replace(spec, kernel_size=_set(spec.kernel_size, axis, max(1, spec.kernel_size[axis] - 1)))


def _flag(name: str, value: bool, spec: Spec, case: Case) -> Spec:
    return replace(spec, **{name: value})


def _bend_extra(change: Callable[[Sizes], Sizes], case: Case) -> Case:
    return with_spec(case, case.conv, change(case.output_padding))


def _extra_before(case: Case) -> Case:
    pads = tuple((max(a - x, 0), b) for (a, b), x in zip(case.conv.padding, case.output_padding, strict=True))
    return with_spec(case, size_kept(replace(case.conv, padding=pads), case))


def _late_products(form: Form, case: Case) -> Form:
    """What output padding moves beyond the leading padding; the arguments still say how much that is."""
    before = transposed_spec(case.operation.rank, **case.settings)[0].padding
    late = [max(x - a, 0) for (a, _), x in zip(before, case.output_padding, strict=True)]

    def move(a: Any, case: Case) -> Any:
        for i, by in enumerate(late):
            a = moved(2 + i, by, a, case) if by else a
        return a

    return products(move, form, case)


def _ceil_extra(case: Case) -> Case | None:
    """Windows that start in the trailing padding: as many as rounding up gives."""
    spec = case.pool
    if not spec.ceil_mode:
        return case
    return with_spec(case, replace(_rounded_up(spec, case), ceil_mode=False))


def _modes(case: Case) -> Iterator[Fault]:
    """Signals: other crops of the full result."""
    for words, kind, crop in _CROPS:
        yield Fault(kind, words, _full, partial(_recropped, crop))


def _full(case: Case) -> Case | None:
    if case.settings["mode"] != "same":
        return None
    return replace(case, arguments={"mode": "full"})


def _recropped(crop: Callable[[Sizes, Sizes], Any], form: Form, case: Case) -> Form:
    n, m = case.operands["in1"].shape, case.operands["in2"].shape
    return arranged(lambda a, c: a[crop(n, m)], form, case)


def _late(n: Sizes, m: Sizes) -> Any:
    return tuple(slice(j // 2, j // 2 + i) for i, j in zip(n, m, strict=True))


def _larger(n: Sizes, m: Sizes) -> Any:
    sizes = tuple(max(i, j) for i, j in zip(n, m, strict=True))
    starts = tuple((min(i, j) - 1) // 2 for i, j in zip(n, m, strict=True))
    return tuple(slice(s, s + k) for s, k in zip(starts, sizes, strict=True))


_CROPS: tuple[tuple[str, str, Callable[[Sizes, Sizes], Any]], ...] = (
    ('starts the middle of mode "same" one place too late', "shifted", _late),
    ('gives mode "same" the size of the larger operand', "output size rule", _larger),
)
