"""How long each algorithm takes here: the work it does, times what each kind of work costs on this machine."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.fft

from refconv import files, threads
from refconv.algorithms import ALGORITHMS, choose, fft, im2col, winograd
from refconv.spec import OPERATIONS, ConvSpec, Sizes

__all__ = ["Work", "fastest", "rates", "seconds", "work"]


ROW = 90  # elements that could be added up in the time it takes to begin a row
LINE = 400  # elements that could be copied in the time it takes to begin the product of a row
APART = 4  # times as long as neighbours it takes to copy elements that are a kernel apart
SPECTRA = 2.5  # times as long as in the cache a transform takes among others that fill it
COLUMNS = 3.5  # times as long as the copy of a patch it takes until it is multiplied
TILES = 2  # times as long as a transform by itself takes one among the copies of tiles,
ROUNDS, TURN = 20, 2e-3  # in which prices are measured, and seconds of each kind of work in one
HANDED = 5e-5  # seconds that it takes to hand a part to another thread
SMALL = 2.2  # and a product of a block of tiles, as long as a large one


class Work(NamedTuple):
    """What an algorithm does, in units that each have one price: also the seconds of one unit of each."""

    products: float = 0  # multiply-adds of matrix products
    moved: float = 0  # elements copied, added or multiplied one by one
    transformed: float = 0  # elements that come of a product with a matrix of a few rows
    butterflies: float = 0  # elements times the binary logarithm of the transform's length
    calls: float = 0  # of NumPy

    def __add__(self, other: tuple[Any, ...]) -> Work:
        return Work(*(a + b for a, b in zip(self, other, strict=True)))


class _Shape(NamedTuple):
    """A convolution's sizes: images, groups, channels of one group, and what lies in space."""

    batch: int
    groups: int
    channels: int
    outputs: int
    taps: int
    positions: int
    pixels: int

    @property
    def products(self) -> int:
        return self.batch * self.kernels * self.positions

    @property
    def kernels(self) -> int:
        return self.groups * self.channels * self.outputs * self.taps


def _shape(spec: ConvSpec, x: Sizes, w: Sizes) -> _Shape:
    positions = math.prod(spec.output_size(x[2:], w[2:]))
    return _Shape(x[0], spec.groups, w[1], w[0] // spec.groups, math.prod(w[2:]), positions, math.prod(x[2:]))


def _direct(spec: ConvSpec, x: Sizes, w: Sizes) -> Work:
    n = _shape(spec, x, w)
    rows = n.batch * n.groups * n.positions // max(1, spec.output_size(x[2:], w[2:])[-1])
    moved = n.taps * (2 * n.batch * n.groups * n.positions * (n.channels + 2 * n.outputs) + ROW * rows)
    return Work(n.products if n.channels > 1 else 0, moved + APART * n.kernels, calls=4 * n.taps)


def _im2col(spec: ConvSpec, x: Sizes, w: Sizes) -> Work:
    n = _shape(spec, x, w)
    columns = n.batch * n.groups * n.channels * n.positions * n.taps
    if n.taps == 1 and n.positions == n.pixels:
        return Work(n.products, calls=4)
    if im2col.lowers(spec, w, spec.output_size(x[2:], w[2:])):
        rows = n.batch * n.groups * spec.output_size(x[2:], w[2:])[0]
        again = rows * n.channels * n.outputs * n.taps  # kernels arranged anew for each row
        moved = columns // w[2] * spec.stride[0] + columns // 2 + again + LINE * rows
        return Work(n.products, moved, calls=20)
    # A product with few rows is no faster than reading its columns.
    read = columns * (2 if n.outputs < 8 else 1)
    return Work(n.products, COLUMNS * read, calls=10 + columns / 2**18)


def _winograd(spec: ConvSpec, x: Sizes, w: Sizes) -> Work:
    n, m = _shape(spec, x, w), winograd.tile(spec, x[2:], w[2:])
    size = math.prod(outputs + taps - 1 for outputs, taps in zip(m, w[2:], strict=True))
    tiles = n.batch * math.prod(-(-p // k) for p, k in zip(spec.output_size(x[2:], w[2:]), m, strict=True))
    products = size * n.groups * n.channels * n.outputs * tiles
    elements = size * n.groups * (tiles * (n.channels + n.outputs) + n.channels * n.outputs)
    return Work(SMALL * products, transformed=TILES * spec.rank * elements, calls=150 + n.groups * size / 8)


def _fft(spec: ConvSpec, x: Sizes, w: Sizes) -> Work:
    n = _shape(spec, x, w)
    tiles, size = fft.tiling(spec, x, w)
    transforms = n.groups * (n.channels * (tiles + n.outputs) + tiles * n.outputs)
    products = 2 * size * tiles * n.groups * n.channels * n.outputs  # of half as many complex numbers
    butterflies = SPECTRA * size * math.log2(max(2, size)) * transforms
    return Work(products if n.channels > 1 else 0, 4 * size * transforms, butterflies=butterflies, calls=60)


_FORWARD: Mapping[str, Callable[[ConvSpec, Sizes, Sizes], Work]] = {
    "direct": _direct,
    "fft": _fft,
    "im2col": _im2col,
    "winograd": _winograd,
}


def _gradient(spec: ConvSpec, x: Sizes, w: Sizes) -> tuple[ConvSpec, Sizes, Sizes]:
    """The convolution of about the same work that gives the gradient of the input."""
    groups, outputs = spec.groups, spec.output_size(x[2:], w[2:])
    stretched = tuple((p - 1) * s + 1 for p, s in zip(outputs, spec.stride, strict=True))
    extent = spec.extent(w[2:])
    padding = tuple((e - 1, n - p) for e, n, p in zip(extent, x[2:], stretched, strict=True))
    plain = ConvSpec((1,) * spec.rank, padding, spec.dilation, groups)
    return plain, (x[0], w[0], *stretched), (groups * w[1], w[0] // groups, *w[2:])


def work(algorithm: str, name: str, spec: ConvSpec, x: Sizes, w: Sizes) -> Work:
    """The work of a call, given the shapes of the convolution's input and weight.

    >>> work("im2col", "conv2d", ConvSpec((1, 1), ((0, 0), (0, 0)), (1, 1)), (1, 8, 9, 9), (8, 8, 3, 3)).products
    28224
    """
    kind, forward = OPERATIONS[name].kind, _FORWARD[algorithm](spec, x, w)
    if kind == "conv":
        return forward
    to_input, to_weight = _GRADIENTS[algorithm](spec, x, w, forward)
    return to_input if kind == "conv_transpose" else to_input + to_weight


def _direct_gradients(spec: ConvSpec, x: Sizes, w: Sizes, forward: Work) -> tuple[Work, Work]:
    return forward, forward


def _im2col_gradients(spec: ConvSpec, x: Sizes, w: Sizes, forward: Work) -> tuple[Work, Work]:
    """Columns are added to the input, unless the kernel is rotated; those of the weight's product are read twice."""
    n, columns = _shape(spec, x, w), forward.moved / COLUMNS
    rows = n.taps * n.batch * n.groups * n.channels * n.positions // max(1, spec.output_size(x[2:], w[2:])[-1])
    to_input = (
        _im2col(*_gradient(spec, x, w))
        if im2col.rotates(spec, w, x[2:])
        else forward + Work(moved=(9 if n.outputs < 8 else 3) * columns + ROW * rows)
    )
    return to_input, forward + Work(moved=columns)


def _winograd_gradients(spec: ConvSpec, x: Sizes, w: Sizes, forward: Work) -> tuple[Work, Work]:
    return _winograd(*_gradient(spec, x, w)), forward._replace(transformed=1.3 * forward.transformed)


def _fft_gradients(spec: ConvSpec, x: Sizes, w: Sizes, forward: Work) -> tuple[Work, Work]:
    """The kernel of the weight's gradient is as large as the output, and images stand where channels stood."""
    n = _shape(spec, x, w)
    size = math.prod(a + before + after for a, (before, after) in zip(x[2:], spec.padding, strict=True))
    transforms = n.groups * (n.batch * (n.channels + n.outputs) + n.channels * n.outputs)
    products = 2 * size * n.batch * n.groups * n.channels * n.outputs
    butterflies = SPECTRA * size * math.log2(max(2, size)) * transforms
    to_weight = Work(products, 4 * size * transforms, butterflies=butterflies, calls=60)
    return _fft(*_gradient(spec, x, w)), to_weight


_GRADIENTS: Mapping[str, Callable[[ConvSpec, Sizes, Sizes, Work], tuple[Work, Work]]] = {
    "direct": _direct_gradients,
    "fft": _fft_gradients,
    "im2col": _im2col_gradients,
    "winograd": _winograd_gradients,
}


def seconds(work: Work, prices: Work, number: int = 1) -> float:
    """What a work costs at the prices of one unit of each kind; all but the calls shared by a number of threads.

    >>> round(seconds(Work(products=1e9, calls=50), Work(products=2e-11, calls=1e-6), number=2), 6)
    0.01005
    """
    calls = work.calls * prices.calls
    alone = float(sum(amount * price for amount, price in zip(work, prices, strict=True))) - calls
    return calls + alone / max(1, min(number, int(alone / HANDED)))


def fastest(name: str, spec: ConvSpec, shapes: tuple[Sizes, Sizes], dtype: np.dtype[Any]) -> str:
    """The algorithm that should take the least time on this machine, whatever the class of its error.

    `shapes` are those of the convolution's input and weight.
    """
    x, w = shapes
    if dtype.kind == "i" or 0 in x or 0 in w:
        return choose(name, spec, shapes, dtype)
    return _cheapest(name, spec, x, w, dtype, rates(_name(dtype)), threads.count())


_name = functools.cache(lambda dtype: str(dtype.name))


@functools.lru_cache(1024)
def _cheapest(name: str, spec: ConvSpec, x: Sizes, w: Sizes, dtype: np.dtype[Any], prices: Work, number: int) -> str:
    """The choice, remembered: to count the work takes as long as a small convolution."""
    able = (row for row in _FORWARD if not ALGORITHMS[row].refuses(name, spec, x[2:], w[2:], dtype))
    return min(able, key=lambda row: seconds(work(row, name, spec, x, w), prices, number))


# ---------------------------------------------------------------------------------------------------- the prices


@functools.cache
def rates(dtype: str) -> Work:
    """What a unit of each kind of work costs on this machine, in seconds: measured once, then read from a file.

    The file lies in the user's folder for caches. Where it cannot be written they are measured once a process.
    """
    path = _cache_folder() / f"prices-{dtype}-{_machine()}.json"
    try:
        prices = Work(*map(float, json.loads(path.read_text())))
        if all(0 < price < 1 for price in prices):
            return prices
    except (OSError, ValueError, TypeError):
        pass  # none yet, or not what this version writes
    prices = _measured(np.dtype(dtype))
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, json.dumps(prices))
    return prices


def _cache_folder() -> Path:
    """Where this platform keeps what can be made again."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "refconv"


def _machine() -> str:
    """What a price depends on: processor, and the library that multiplies."""
    facts = [platform.machine(), platform.processor(), platform.node(), str(os.cpu_count()), np.__version__]
    return hashlib.sha256("\n".join(facts).encode()).hexdigest()[:12]


@threads.alone()
def _measured(dtype: np.dtype[Any]) -> Work:
    """The shortest of many calls of each kind of work, on sizes that fit the caches; a third of a second in all.

    The kinds take turns: what slows the machine for a while would else make one of them dear beside the others.
    """
    square, image = np.ones((384, 384), dtype), np.ones((16, 58, 58), dtype)
    windows = np.lib.stride_tricks.sliding_window_view(image, (3, 3), axis=(1, 2)).transpose(0, 3, 4, 1, 2)
    columns, product = np.empty(windows.shape, dtype), np.empty_like(square)
    planes, dot = np.ones((8, 128, 128), dtype), np.ones((2, 2), dtype)
    few, lines, transformed = np.ones((6, 6), dtype), np.ones((6, 4096), dtype), np.empty((6, 4096), dtype)
    transform = scipy.fft.fftn if dtype.kind == "c" else scipy.fft.rfftn
    kinds: list[Callable[[], Any]] = [
        lambda: np.matmul(square, square, out=product),
        lambda: np.copyto(columns, windows),
        lambda: np.matmul(few, lines, out=transformed),
        lambda: transform(planes, axes=(1, 2)),
        lambda: np.matmul(dot, dot),
    ]
    units = Work(
        products=384**3, moved=columns.size, transformed=transformed.size, butterflies=planes.size * 14, calls=1
    )
    rounds = [[_time(call) for call in kinds] for _ in range(ROUNDS)]
    return Work(*(min(times) / unit for times, unit in zip(zip(*rounds, strict=True), units, strict=True)))


def _time(call: Callable[[], Any]) -> float:
    """The shortest of many: what disturbs a measurement only lengthens it."""
    call()
    times: list[float] = []
    stop = time.perf_counter() + TURN
    while len(times) < 2 or time.perf_counter() < stop:
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)
