"""Enumerates legal calls one step smaller than a given one: fewer elements on one axis, or a plainer argument."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from refconv.dtypes import Array
from refconv.spec import Case, Pairs

__all__ = ["steps"]

Step = Callable[[Case], Iterator[Case]]
Taken = dict[str, tuple[int, Any]]  # operand -> the axis that is cut, the indices that stay


@dataclass(frozen=True)
class _Axis:
    """Something a call has `size` of: images, channels, rows; `keep` says what of each operand stays."""

    size: int
    keep: Callable[[Any], Taken]
    counted_by: str = ""  # the argument that says how many there are


def steps(case: Case) -> list[Step]:
    """Ways to make a call smaller; each yields the boldest candidates first.

    Every candidate is a legal call with fewer elements, axes or operands, or an argument nearer to its default.
    """
    shorter = [_shorter(number) for number in range(len(_axes(case)))]
    return [*shorter, _of_lower_rank, _without_bias, _plainer_arguments, _contiguous]


def _shorter(number: int) -> Step:
    def step(case: Case) -> Iterator[Case]:
        axes = _axes(case)
        if number >= len(axes):  # of a signal that has lost axes
            return
        axis = axes[number]
        for size in sorted({1, axis.size // 4, axis.size // 2, axis.size - axis.size // 4, axis.size - 1}):
            if 0 < size < axis.size:
                for start in (0, axis.size - size):
                    yield from _legal(_cut(case, axis, np.arange(start, start + size)))

    return step


def _cut(case: Case, axis: _Axis, kept: Any) -> Case:
    operands = dict(case.operands)
    for name, (place, indices) in axis.keep(kept).items():
        if name in operands:
            operands[name] = np.ascontiguousarray(np.take(operands[name], indices, axis=place))
    cut = replace(case, operands=operands)
    return _with(cut, axis.counted_by, len(kept)) if axis.counted_by else cut


def _with(case: Case, name: str, value: Any) -> Case:
    """The call with another value of an argument; the default is left out, as every call does."""
    arguments = {n: v for n, v in case.arguments.items() if n != name}
    if value != case.operation.arguments[name]:
        arguments[name] = value
    return replace(case, arguments=arguments)


# ------------------------------------------------------------------------------------------------- axes


def _axes(case: Case) -> list[_Axis]:
    if case.operation.rank == 0:
        return [_spatial(case, name, i) for name in ("in1", "in2") for i in range(case.operands[name].ndim)]
    x = case.operands["input"].shape
    batch = _Axis(x[0], lambda kept: {"input": (0, kept), "grad_output": (0, kept)})
    images = [_spatial(case, "input", i) for i in range(2, len(x))]
    if "pool" in case.operation.kind:
        channels = _Axis(x[1], lambda kept: {"input": (1, kept), "grad_output": (1, kept)})
        return [batch, channels, *images]
    kernels = [_spatial(case, "weight", i) for i in range(2, len(x))]
    return [batch, *_channels(case), *kernels, *images]


def _spatial(case: Case, operand: str, place: int) -> _Axis:
    return _Axis(case.operands[operand].shape[place], lambda kept: {operand: (place, kept)})


def _channels(case: Case) -> list[_Axis]:
    """Groups, then input and output channels inside every group."""
    groups, transposed = case.conv.groups, case.operation.kind == "conv_transpose"
    c, o = case.operands["input"].shape[1] // groups, case.operands["weight"].shape[0] // groups
    if transposed:
        o = case.operands["weight"].shape[1]
    every, ins, outs = np.arange(groups), np.arange(c), np.arange(o)

    def some_groups(kept: Any) -> Taken:
        first = _blocks(kept, ins, c) if transposed else _blocks(kept, outs, o)
        of_out = _blocks(kept, outs, o)
        return {
            "input": (1, _blocks(kept, ins, c)),
            "weight": (0, first),
            "bias": (0, of_out),
            "grad_output": (1, of_out),
        }

    def some_inputs(kept: Any) -> Taken:
        inside = _blocks(every, kept, c)
        return {"input": (1, inside), "weight": (0, inside) if transposed else (1, kept)}

    def some_outputs(kept: Any) -> Taken:
        inside = _blocks(every, kept, o)
        return {"weight": (1, kept) if transposed else (0, inside), "bias": (0, inside), "grad_output": (1, inside)}

    return [_Axis(groups, some_groups, "groups"), _Axis(c, some_inputs), _Axis(o, some_outputs)]


def _blocks(groups: Any, inside: Any, size: int) -> Any:
    """The channels of some groups of `size`, each represented by the members `inside`."""
    return (groups[:, None] * size + inside).ravel()


# ------------------------------------------------------------------------------------------------- the rest


def _of_lower_rank(case: Case) -> Iterator[Case]:
    """Signals without an axis on which both have one element."""
    if case.operation.rank == 0 and case.operands["in1"].ndim > 1:
        for axis in range(case.operands["in1"].ndim):
            if all(a.shape[axis] == 1 for a in case.operands.values()):
                yield case.with_operands(**{name: a.squeeze(axis) for name, a in case.operands.items()})


def _without_bias(case: Case) -> Iterator[Case]:
    if "bias" in case.operands:
        yield replace(case, operands={name: a for name, a in case.operands.items() if name != "bias"})


def _contiguous(case: Case) -> Iterator[Case]:
    if case.layout != "contiguous":
        yield replace(case, layout="contiguous")


def _plainer_arguments(case: Case) -> Iterator[Case]:
    for name, value in case.arguments.items():
        default = case.operation.arguments[name]
        if name == "groups":  # goes with the operands
            continue
        if name != "kernel_size":
            yield from _legal(_with(case, name, default))
        least = default if isinstance(default, int) else 1
        for plainer in () if isinstance(value, (str, bool)) else _nearer(value, least):
            candidate = _with(case, name, plainer)
            yield from _legal(_less_padded(candidate, case.pool.padding) if name == "kernel_size" else candidate)


def _less_padded(case: Case, pairs: Pairs) -> Case:
    """Padded as before, but by no more than half the window."""
    kernel = np.broadcast_to(case.settings["kernel_size"], len(pairs)).tolist()
    less = tuple((min(a, k // 2), min(b, k // 2)) for (a, b), k in zip(pairs, kernel, strict=True))
    if any(a != b for a, b in less):
        return _with(case, "padding", less)
    return _with(case, "padding", less[0][0] if len(set(less)) == 1 else tuple(a for a, _ in less))


def _nearer(value: Any, least: int) -> Iterator[Any]:
    """Values with one number nearer to the least: that itself, then one less."""
    if isinstance(value, Sequence):
        for i, part in enumerate(value):
            for plainer in _nearer(part, least):
                yield (*value[:i], plainer, *value[i + 1 :])
    else:
        yield from sorted({least, value - 1} - {value, least - 1})


def _legal(case: Case) -> Iterator[Case]:
    """The call, its incoming gradient brought to the new output's size, where it is one that has results."""
    try:
        size = _output_size(case)
    except ValueError:
        return
    if min(size, default=1) < 1:
        return
    if "grad_output" in case.operands:
        case = case.with_operands(grad_output=_fitted(case.operands["grad_output"], size))
    yield case


def _output_size(case: Case) -> tuple[int, ...]:
    x = case.operands["input"].shape[2:] if case.operation.rank else ()
    if "pool" in case.operation.kind:
        for n, k, d in zip(x, case.pool.kernel_size, case.pool.dilation, strict=True):
            if k > 1 and n < d:
                raise ValueError("a window may miss the image")
        return case.pool.output_size(x)
    if case.operation.kind in ("conv", "conv_backward"):
        return case.conv.output_size(x, case.operands["weight"].shape[2:])
    (shape,) = case.shapes.values()
    return shape


def _fitted(gradient: Array, size: tuple[int, ...]) -> Array:
    """Cut to the size, repeated where it is too small."""
    for axis, n in enumerate(size, 2):
        gradient = np.take(gradient, np.arange(n) % gradient.shape[axis], axis=axis)
    return np.ascontiguousarray(gradient)
