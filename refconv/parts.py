"""Calls within a budget of memory: cut into boxes of the result, each one a smaller call of the same algorithm.

A box is some of the images, of the channels (of the groups, where there are several) and of the first axis' rows. Of
the ways to halve a box that is too large, the one is taken after which the algorithm needs least.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv.algorithms import Algorithm
from refconv.spec import ConvSpec, Pairs, Sizes

__all__ = ["TooLarge", "conv", "input_grad", "least", "weight_grad"]

Array = NDArray[Any]
Box = tuple[slice, ...]  # images, channels or groups, rows
Call = tuple[ConvSpec, Sizes, Sizes]  # a convolution, the shapes of its input and weight


class TooLarge(Exception):
    """However small the parts, the algorithm needs more memory than it may have; says how much."""


FEWEST_ROWS = 8  # that are not halved: with fewer, minimal filtering would choose other tiles than for the whole


def conv(chosen: Algorithm, x: Array, w: Array, spec: ConvSpec, room: int) -> Array:
    """chosen.conv, with no more than `room` bytes beside the operands and the result; TooLarge if it needs more.

    >>> from refconv.algorithms import algorithm
    >>> conv(algorithm("direct"), np.ones((1, 1, 4)), np.ones((1, 1, 2)), ConvSpec((1,), ((0, 0),), (1,)), 2**20)
    array([[[2., 2., 2.]]])
    """
    call = spec, x.shape, w.shape
    boxes = _boxes(chosen, "conv", call, x.itemsize, room)
    if len(boxes) == 1:
        return chosen.conv(x, w, spec)
    y = np.empty((x.shape[0], w.shape[0], *spec.output_size(x.shape[2:], w.shape[2:])), x.dtype)
    for box in boxes:
        images, lanes, rows = box
        seen, padding = _read(spec, x.shape, w.shape, rows)
        inputs, outputs = _channels(spec, w.shape, lanes)
        y[images, outputs, rows] = chosen.conv(x[images, inputs, seen], w[outputs], _padded(spec, padding, lanes))
    return y


def weight_grad(chosen: Algorithm, g: Array, x: Array, spec: ConvSpec, kernel_size: Sizes, room: int) -> Array:
    """chosen.weight_grad, within the same budget: the sum of what the boxes of `g`, the output's gradient, give."""
    w = (g.shape[1], x.shape[1] // spec.groups, *kernel_size)
    boxes = _boxes(chosen, "weight_grad", (spec, x.shape, w), x.itemsize, room)
    if len(boxes) == 1:
        return chosen.weight_grad(g, x, spec, kernel_size)
    grad = np.zeros(w, x.dtype)
    for images, lanes, rows in boxes:
        seen, padding = _read(spec, x.shape, w, rows)
        inputs, outputs = _channels(spec, w, lanes)
        part = _padded(spec, padding, lanes)
        grad[outputs] += chosen.weight_grad(g[images, outputs, rows], x[images, inputs, seen], part, kernel_size)
    return grad


def input_grad(chosen: Algorithm, g: Array, w: Array, spec: ConvSpec, input_size: Sizes, room: int) -> Array:
    """chosen.input_grad, within the same budget, some rows of the input at a time."""
    x = (g.shape[0], spec.groups * w.shape[1], *input_size)
    boxes = _boxes(chosen, "input_grad", (spec, x, w.shape), g.itemsize, room)
    if len(boxes) == 1:
        return chosen.input_grad(g, w, spec, input_size)
    grad = np.empty(x, g.dtype)
    for images, lanes, rows in boxes:
        reached, padding = _reached(spec, x, w.shape, rows)
        inputs, outputs = _channels(spec, w.shape, lanes)
        kernels = w[outputs] if spec.groups > 1 else w[:, lanes]
        part = g[images, outputs if spec.groups > 1 else slice(None), reached]
        size = (rows.stop - rows.start, *input_size[1:])
        places = inputs if spec.groups > 1 else lanes
        grad[images, places, rows] = chosen.input_grad(part, kernels, _padded(spec, padding, lanes), size)
    return grad


def least(chosen: Algorithm, kind: str, call: Call, itemsize: int) -> int:
    """The bytes that an algorithm needs when the call is cut as small as it can be; `kind` is one of its functions.

    >>> from refconv.algorithms import algorithm
    >>> call = ConvSpec((1, 1), ((1, 1), (1, 1)), (1, 1)), (8, 64, 224, 224), (64, 64, 3, 3)
    >>> [least(algorithm(name), "conv", call, 4) // 2**20 for name in ("direct", "im2col", "winograd")]
    [1, 4, 6]
    """
    return _least(chosen, kind, call, _whole(kind, call), itemsize)


def _least(chosen: Algorithm, kind: str, call: Call, box: Box, itemsize: int) -> int:
    halves = _best_halves(chosen, kind, call, box, itemsize)
    if not halves:
        return _needs(chosen, kind, call, box, itemsize)
    if halves[0][2] == halves[1][2]:  # as many images or channels, or more, than in the other one
        return _least(chosen, kind, call, halves[0], itemsize)
    return max(_least(chosen, kind, call, half, itemsize) for half in halves)  # rows near the border need less


@functools.lru_cache(1024)
def _boxes(chosen: Algorithm, kind: str, call: Call, itemsize: int, room: int) -> tuple[Box, ...]:
    """Boxes that tile the result (for the weight's gradient: the output), none of which needs more than `room`."""
    whole = _whole(kind, call)
    if 0 in (*call[1], *call[2]):  # nothing to compute
        return (whole,)
    return tuple(_cut(chosen, kind, call, whole, itemsize, room))


def _cut(chosen: Algorithm, kind: str, call: Call, box: Box, itemsize: int, room: int) -> Iterator[Box]:
    if _needs(chosen, kind, call, box, itemsize) <= room:
        yield box
        return
    halves = _best_halves(chosen, kind, call, box, itemsize)
    if not halves:
        bytes_least = least(chosen, kind, call, itemsize)
        raise TooLarge(f"`method` {chosen.name!r} needs {bytes_least / 2**20:.3g} MiB beside operands and results")
    for half in halves:
        yield from _cut(chosen, kind, call, half, itemsize, room)


def _whole(kind: str, call: Call) -> Box:
    spec, x, w = call
    lanes = spec.groups if spec.groups > 1 else w[1] if kind == "input_grad" else w[0]
    rows = x[2] if kind == "input_grad" else spec.output_size(x[2:], w[2:])[0]
    return slice(0, x[0]), slice(0, lanes), slice(0, rows)


def _best_halves(chosen: Algorithm, kind: str, call: Call, box: Box, itemsize: int) -> tuple[Box, ...]:
    """The two halves, along one axis, of which the larger needs least; none where none needs less than the box."""
    found: tuple[Box, ...] = ()
    need = _needs(chosen, kind, call, box, itemsize)
    for axis, part in enumerate(box):
        size = part.stop - part.start
        if size < (2 * FEWEST_ROWS if axis == 2 else 2):
            continue
        middle = part.start + (size + 1) // 2
        halves = tuple(
            (*box[:axis], half, *box[axis + 1 :]) for half in (slice(part.start, middle), slice(middle, part.stop))
        )
        larger = max(_needs(chosen, kind, call, half, itemsize) for half in halves)
        if larger < need:
            found, need = halves, larger
    return found


def _needs(chosen: Algorithm, kind: str, call: Call, box: Box, itemsize: int) -> int:
    """Bytes for one box, with its own result, which is copied into the whole one, unless it is the whole one."""
    spec, x, w = call
    images, lanes, rows = box
    batch, many = images.stop - images.start, lanes.stop - lanes.start
    grouped = spec.groups > 1
    inputs = many * w[1] if grouped else many if kind == "input_grad" else w[1]
    outputs = many * (w[0] // spec.groups) if grouped else w[0] if kind == "input_grad" else many
    if kind == "input_grad":
        height, padding = rows.stop - rows.start, _reached(spec, x, w, rows)[1]
    else:
        seen, padding = _read(spec, x, w, rows)
        height = seen.stop - seen.start
    part = _padded(spec, padding, lanes)
    x_part, w_part = (batch, inputs, height, *x[3:]), (outputs, w[1] if grouped else inputs, *w[2:])
    if box == _whole(kind, call):
        return chosen.needs(kind, spec, x, w, itemsize)
    result = {"conv": (batch, outputs, *part.output_size(x_part[2:], w[2:])), "input_grad": x_part}.get(kind, w_part)
    return chosen.needs(kind, part, x_part, w_part, itemsize) + itemsize * int(np.prod(result, dtype=object))


def _channels(spec: ConvSpec, w: Sizes, lanes: slice) -> tuple[slice, slice]:
    """Those of the input and of the output that belong to a box; all of the input's where there is one group."""
    if spec.groups == 1:
        return slice(None), lanes
    each = w[0] // spec.groups
    return slice(lanes.start * w[1], lanes.stop * w[1]), slice(lanes.start * each, lanes.stop * each)


def _padded(spec: ConvSpec, padding: tuple[int, int], lanes: slice) -> ConvSpec:
    """The convolution of a box."""
    pairs: Pairs = (padding, *spec.padding[1:])
    return replace(spec, padding=pairs, groups=lanes.stop - lanes.start if spec.groups > 1 else 1)


def _read(spec: ConvSpec, x: Sizes, w: Sizes, rows: slice) -> tuple[slice, tuple[int, int]]:
    """The input's rows that some of the output's read, and the padding on either side of them."""
    n, stride, before = x[2], spec.stride[0], spec.padding[0][0]
    start = rows.start * stride - before
    stop = (rows.stop - 1) * stride - before + spec.extent(w[2:])[0]
    first, last = min(max(start, 0), n), min(max(stop, 0), n)
    above = min(first - start, stop - start) if start < 0 else 0
    return slice(first, last), (above, stop - start - above - (last - first))


def _reached(spec: ConvSpec, x: Sizes, w: Sizes, rows: slice) -> tuple[slice, tuple[int, int]]:
    """The output's rows that read some of the input's, and the padding with which they read just these."""
    stride, before = spec.stride[0], spec.padding[0][0]
    extent, count = spec.extent(w[2:])[0], spec.output_size(x[2:], w[2:])[0]
    first = min(max(0, (rows.start + before - extent + 1) // stride), count)
    last = min(count, (rows.stop - 1 + before) // stride + 1)
    above = before + rows.start - first * stride
    below = max(0, (last - first - 1) * stride + extent - above - (rows.stop - rows.start))
    return slice(first, max(first, last)), (above, below)
