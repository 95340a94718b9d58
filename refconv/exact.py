"""The true value of a call, with a bound on its own error; shares no code with the algorithms it judges.

Every result of every operation is a bilinear form, operator(a, b) / divisor + addend, except the maximum.
Two ways to evaluate one: in rational arithmetic from the definition (`rational`), and in float64 with an error that
is proved to be small (`values`, by `errorfree`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import lru_cache, partial
from itertools import product
from math import lcm, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv.dtypes import Float64Array, format_of
from refconv.errorfree import Exact, Form, lowest_bit, remainder, two_sum, value
from refconv.spec import Case, Sizes

__all__ = [
    "Exact",
    "Form",
    "flushed",
    "forms",
    "has_subnormals",
    "lowest_bit",
    "rational",
    "remainder",
    "selection",
    "taps",
    "tie_range",
    "two_sum",
    "value",
    "values",
    "window_counts",
    "window_maximum",
]

# ---------------------------------------------------------------------------------------------- windows


def _slices(kernel: Sizes, size: Sizes, stride: Sizes, dilation: Sizes) -> Iterator[tuple[Sizes, Any]]:
    """For each tap, where it reads: a strided slice of the padded array."""
    for tap in product(*map(range, kernel)):
        axes = zip(tap, size, stride, dilation, strict=True)
        yield tap, (..., *(slice(k * d, k * d + max(0, (n - 1) * s + 1), s) for k, n, s, d in axes))


@dataclass(frozen=True)
class _Windows:
    """The windows of an array's spatial axes, and their adjoint."""

    input_size: Sizes
    kernel: Sizes
    size: Sizes  # how many windows along each axis
    stride: Sizes
    dilation: Sizes
    before: Sizes

    @property
    def padded(self) -> Sizes:
        """Just large enough for input and last window; trailing padding that no window reads is left out."""
        axes = zip(self.input_size, self.kernel, self.size, self.stride, self.dilation, self.before, strict=True)
        return tuple(max(b + n, (o - 1) * s + d * (k - 1) + 1) for n, k, o, s, d, b in axes)

    @property
    def inside(self) -> Any:
        """Where the input lies in the padded array."""
        return (..., *(slice(b, b + n) for b, n in zip(self.before, self.input_size, strict=True)))

    def gather(self, x: Any, fill: Any = 0) -> Any:
        """(N, C, *input_size) -> (N, C, *kernel, *size), to be read only."""
        padded = x
        if x.shape[2:] != self.padded:
            padded = np.full((*x.shape[:2], *self.padded), fill, dtype=x.dtype)
            padded[self.inside] = x
        steps = padded.strides[2:]
        between_taps = (step * d for step, d in zip(steps, self.dilation, strict=True))
        between_windows = (step * s for step, s in zip(steps, self.stride, strict=True))
        shape, strides = (
            (*x.shape[:2], *self.kernel, *self.size),
            (*padded.strides[:2], *between_taps, *between_windows),
        )
        return np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)

    def add(self, padded: Any, windows: Any, first: int = 0) -> None:
        """Add (N, C, *kernel, *size) where the windows, from one of the first axis on, lie in a padded array."""
        padded = padded[:, :, first * self.stride[0] :]
        for tap, where in _slices(self.kernel, windows.shape[2 + len(self.kernel) :], self.stride, self.dilation):
            padded[where] += windows[(slice(None), slice(None), *tap)]

    def scatter(self, windows: Any) -> Any:
        """(N, C, *kernel, *size) -> (N, C, *input_size): the adjoint of gather."""
        padded = np.zeros((*windows.shape[:2], *self.padded), dtype=windows.dtype)
        self.add(padded, windows)
        return padded[self.inside]


def _conv_windows(case: Case, input_size: Sizes) -> _Windows:
    spec, kernel = case.conv, case.operands["weight"].shape[2:]
    size = spec.output_size(input_size, kernel)
    return _Windows(input_size, kernel, size, spec.stride, spec.dilation, tuple(a for a, _ in spec.padding))


def _pool_windows(case: Case) -> _Windows:
    spec, input_size = case.pool, case.operands["input"].shape[2:]
    before = tuple(a for a, _ in spec.padding)
    return _Windows(input_size, spec.kernel_size, spec.output_size(input_size), spec.stride, spec.dilation, before)


# ------------------------------------------------------------------------------------- bilinear operators
# Columns: (N, groups, C/groups * taps, outputs). They are made and multiplied block by block, in bounded memory.

BLOCK = 3 * 2**17  # numbers in a block of columns, 3 MiB of float64: about what a core's cache holds


def _blocks(images: int, rows: int, numbers: int) -> Iterator[tuple[slice, slice]]:
    """Blocks of whole images, or of rows of one, each row with so many numbers."""
    together = max(1, BLOCK // max(1, rows * numbers))
    height = max(1, -(-rows // -(-rows * numbers // BLOCK))) if rows * numbers > BLOCK else max(1, rows)
    for n in range(0, images, together):
        for r in range(0, rows, height):
            yield slice(n, min(n + together, images)), slice(r, min(r + height, rows))


class _Memory:
    """Room for one block at a time: fresh memory for each costs more than what is done in it."""

    def __init__(self, dtype: Any) -> None:
        self.room = np.empty(0, dtype)

    def shaped(self, *shape: int) -> Any:
        """An array in it; the first of a loop is the largest."""
        if self.room.size < prod(shape):
            self.room = np.empty(prod(shape), self.room.dtype)
        return self.room[: prod(shape)].reshape(shape)

    def copy(self, block: Any) -> Any:
        """The block in one piece."""
        into = self.shaped(*block.shape)
        into[...] = block
        return into


@dataclass(frozen=True)
class _Operator:
    """A product of two operands, group by group, along the windows of one of them."""

    windows: _Windows
    groups: int

    def _blocks(self, x: Any) -> Iterator[tuple[slice, slice]]:
        """Blocks of (images, windows along the first axis) for columns of x."""
        first, *others = self.windows.size
        return _blocks(len(x), first, x.shape[1] * prod(self.windows.kernel) * prod(others))

    def _rows(self, weight: Any) -> Any:
        """(groups, O/groups, C/groups * taps)"""
        return weight.reshape(self.groups, weight.shape[0] // self.groups, prod(weight.shape[1:]))

    def _split(self, array: Any) -> Any:
        """(N, groups, C/groups, *size)"""
        return array.reshape(len(array), self.groups, array.shape[1] // self.groups, *array.shape[2:])

    def _one(self) -> tuple[Any, Any, Any]:
        """One channel of ones: an input, a kernel and an output."""
        w = self.windows
        return np.ones((1, 1, *w.input_size)), np.ones((1, 1, *w.kernel)), np.ones((1, 1, *w.size))


class _Correlate(_Operator):
    """(N, C, *input_size), (O, C/groups, *kernel) -> (N, O, *size)"""

    def __call__(self, x: Any, weight: Any) -> Any:
        w, rows = self.windows, self._rows(weight)
        cells = self._split(w.gather(x))
        out = np.empty((len(x), self.groups, rows.shape[1], *w.size), np.result_type(x, weight))
        memory = _Memory(x.dtype)
        for n, r in self._blocks(x):
            block, into = cells[n][(..., r, *(slice(None),) * (len(w.size) - 1))], out[n, :, :, r]
            columns = memory.copy(block).reshape(len(block), self.groups, rows.shape[2], -1)
            into[...] = np.matmul(rows, columns).reshape(into.shape)
        return out.reshape(len(x), len(weight), *w.size)

    def dense(self, x: Sizes, weight: Sizes) -> Any:
        """How many products each output sums, where none is zero."""
        a, b, _ = self._one()
        counts = weight[1] * replace(self, groups=1)(a, b)
        return np.broadcast_to(counts, (x[0], weight[0], *self.windows.size))


class _InputGradient(_Operator):
    """(N, O, *size), (O, C/groups, *kernel) -> (N, C, *input_size)"""

    def __call__(self, g: Any, weight: Any) -> Any:
        w, columns = self.windows, np.swapaxes(self._rows(weight), 1, 2)
        grads, channels = self._split(g), self.groups * weight.shape[1]
        padded = np.zeros((len(g), channels, *w.padded), np.result_type(g, weight))
        memory = _Memory(padded.dtype)
        first, *others = w.size
        for n, r in _blocks(len(g), first, channels * prod(w.kernel) * prod(others)):
            block = grads[n, :, :, r]
            room = memory.shaped(len(block), self.groups, columns.shape[1], prod(block.shape[3:]))
            np.matmul(columns, block.reshape(*block.shape[:3], -1), out=room)
            w.add(padded[n], room.reshape(len(block), channels, *w.kernel, *block.shape[3:]), r.start)
        return padded[w.inside]

    def dense(self, g: Sizes, weight: Sizes) -> Any:
        """How many products each element of the input's gradient sums, where none is zero."""
        _, b, a = self._one()
        counts = weight[0] // self.groups * replace(self, groups=1)(a, b)
        return np.broadcast_to(counts, (g[0], self.groups * weight[1], *self.windows.input_size))


class _WeightGradient(_Operator):
    """(N, O, *size), (N, C, *input_size) -> (O, C/groups, *kernel)"""

    def __call__(self, g: Any, x: Any) -> Any:
        w, grads = self.windows, np.moveaxis(self._split(g), 0, 2)  # (groups, O/groups, N, *size)
        cells = np.moveaxis(self._split(w.gather(x)), 0, -len(w.size) - 1)  # (groups, C/groups, *kernel, N, *size)
        rows, length = grads.shape[1], x.shape[1] // self.groups * prod(w.kernel)
        total, memory = np.zeros((self.groups, rows, length), np.result_type(g, x)), _Memory(x.dtype)
        for n, r in self._blocks(x):
            here = (..., n, r, *(slice(None),) * (len(w.size) - 1))
            columns = memory.copy(cells[here]).reshape(self.groups, length, -1)
            total += np.matmul(grads[here].reshape(self.groups, rows, -1), np.swapaxes(columns, 1, 2))
        return total.reshape(g.shape[1], x.shape[1] // self.groups, *w.kernel)

    def dense(self, g: Sizes, x: Sizes) -> Any:
        """How many products each element of the weight's gradient sums, where none is zero."""
        a, _, b = self._one()
        counts = g[0] * replace(self, groups=1)(b, a)
        return np.broadcast_to(counts, (g[1], x[1] // self.groups, *self.windows.kernel))


def _channel_norms(array: Float64Array) -> Float64Array:
    return _norm(array, tuple(range(2, array.ndim)))


def _norm(array: Any, axes: tuple[int, ...]) -> Float64Array:
    """Euclidean norms; scaled by the largest element, whose square may leave float64's range."""
    top = np.abs(array).max(axis=axes, keepdims=True, initial=0.0)
    scale = np.where(top == 0, 1.0, top)
    part = np.abs(array) / scale
    return np.asarray(np.squeeze(scale, axis=axes) * np.sqrt((part * part).sum(axis=axes)))


def _spread(norms: Any, rank: int) -> Float64Array:
    return np.asarray(norms).reshape(*np.shape(norms), *(1,) * rank)


def _forward_norms(x: Float64Array, w: Float64Array, groups: int, rank: int) -> Float64Array:
    """sum_c |x_{n,c}| |w_{o,c}|, shape (N, O, 1, ...)."""
    a = _channel_norms(x).reshape(len(x), groups, 1, x.shape[1] // groups)
    b = _channel_norms(w).reshape(1, groups, w.shape[0] // groups, w.shape[1])
    return _spread((a * b).sum(axis=-1).reshape(len(x), len(w)), rank)


def _input_norms(g: Float64Array, w: Float64Array, groups: int, rank: int) -> Float64Array:
    """sum_o |g_{n,o}| |w_{o,c}|, shape (N, C, 1, ...)."""
    a = _channel_norms(g).reshape(len(g), groups, g.shape[1] // groups, 1)
    b = _channel_norms(w).reshape(1, groups, w.shape[0] // groups, w.shape[1])
    return _spread((a * b).sum(axis=2).reshape(len(g), groups * w.shape[1]), rank)


def _weight_norms(g: Float64Array, x: Float64Array, groups: int, rank: int) -> Float64Array:
    """sum_n |g_{n,o}| |x_{n,c}|, shape (O, C/groups, 1, ...)."""
    a = _channel_norms(g).reshape(len(g), groups, g.shape[1] // groups, 1)
    b = _channel_norms(x).reshape(len(x), groups, 1, x.shape[1] // groups)
    return _spread((a * b).sum(axis=0).reshape(g.shape[1], x.shape[1] // groups), rank)


# ------------------------------------------------------------------------------------------------- forms


def _wide(array: Any) -> Float64Array:
    wide = np.asarray(array).astype(np.float64)
    wide.flags.writeable = False  # forms are kept
    return wide


def _precision(case: Case) -> int:
    """Significant bits of an operand; integers are taken as float64's."""
    return format_of(case.dtype).precision if "int" not in case.dtype else 53


@lru_cache(maxsize=4)
def forms(case: Case) -> dict[str, Form]:
    """Each result of a call as a bilinear form; a complex result as its real and imaginary part.

    The maximum is none: see `window_maximum`. The last calls' are kept: several judges ask for the same.
    """
    return _FORMS[case.operation.kind](case, _precision(case))


def _conv_form(case: Case, p: int) -> dict[str, Form]:
    x, w = _wide(case.operands["input"]), _wide(case.operands["weight"])
    groups, rank = case.conv.groups, case.operation.rank
    operator = _Correlate(_conv_windows(case, x.shape[2:]), groups)
    norms, channels = (lambda: _forward_norms(x, w, groups, rank)), w.shape[1]
    taps = prod(w.shape[1:])
    return {"output": Form(operator, x, w, p, _bias(case), norms=norms, channels=channels, taps=taps)}


def _bias(case: Case) -> Float64Array | None:
    """(O,) -> (O, 1, ...); a bias for each position stays as it is."""
    if "bias" not in case.operands:
        return None
    bias = _wide(case.operands["bias"])
    return bias if bias.ndim > 1 else _spread(bias, case.operation.rank)


def _transposed_form(case: Case, p: int) -> dict[str, Form]:
    x, w = _wide(case.operands["input"]), _wide(case.operands["weight"])
    groups, rank, spec = case.conv.groups, case.operation.rank, case.conv
    size = case.shapes["output"][2:]
    before = tuple(a for a, _ in spec.padding)
    windows = _Windows(size, w.shape[2:], x.shape[2:], spec.stride, spec.dilation, before)
    operator = _InputGradient(windows, groups)
    norms, channels = (lambda: _input_norms(x, w, groups, rank)), w.shape[0] // groups
    taps = channels * prod(w.shape[2:])
    return {"output": Form(operator, x, w, p, _bias(case), norms=norms, channels=channels, taps=taps)}


def _conv_backward_forms(case: Case, p: int) -> dict[str, Form]:
    g, x, w = (_wide(case.operands[name]) for name in ("grad_output", "input", "weight"))
    groups, rank = case.conv.groups, case.operation.rank
    windows = _conv_windows(case, x.shape[2:])

    def total(g: Any, scale: Any) -> Any:
        return (g * scale).sum(axis=(0, *range(2, rank + 2)))

    to_input, to_weight = _InputGradient(windows, groups), _WeightGradient(windows, groups)
    per_group, images = g.shape[1] // groups, len(g)
    taps = per_group * prod(w.shape[2:]), images * prod(g.shape[2:])

    def input_norms() -> Float64Array:
        return _input_norms(g, w, groups, rank)

    def weight_norms() -> Float64Array:
        return _weight_norms(g, x, groups, rank)

    return {
        "grad_input": Form(to_input, g, w, p, norms=input_norms, channels=per_group, taps=taps[0]),
        "grad_weight": Form(to_weight, g, x, p, norms=weight_norms, channels=images, taps=taps[1]),
        "grad_bias": Form(total, g, np.ones(()), p, term_roundings=0),
    }


def window_counts(case: Case) -> NDArray[np.int64]:
    """How many cells each average divides by; cells that ceil mode adds beyond the padding never count."""
    spec, input_size = case.pool, case.operands["input"].shape[2:]
    count = np.ones((), dtype=np.int64)
    axes = zip(spec.output_size(input_size), input_size, spec.kernel_size, spec.stride, spec.padding, strict=True)
    for o, n, k, s, (a, b) in axes:
        low, high = (-a, n + b) if spec.count_include_pad else (0, n)
        start = np.arange(o) * s - a
        along = np.clip(start + k, low, high) - np.clip(start, low, high)
        count = np.multiply.outer(count, along)
    return np.asarray(count, dtype=np.int64)


def _avg_form(case: Case, p: int) -> dict[str, Form]:
    """Two final roundings for each axis: separable kernels average axis by axis, each time by a rounded reciprocal."""
    windows, rank = _pool_windows(case), case.operation.rank

    def operator(x: Any, scale: Any) -> Any:
        return windows.gather(x * scale).sum(axis=tuple(range(2, 2 + rank)))

    x = _wide(case.operands["input"])
    roundings: dict[str, Any] = {"term_roundings": 0, "final_roundings": 2 * rank}
    taps = prod(case.pool.kernel_size)
    return {"output": Form(operator, x, np.ones(()), p, divisor=window_counts(case), taps=taps, **roundings)}


def _avg_backward_form(case: Case, p: int) -> dict[str, Form]:
    windows, counts = _pool_windows(case), window_counts(case)
    common = lcm(*map(int, np.unique(counts))) if counts.size else 1

    def operator(g: Any, share: Any) -> Any:
        spread = (g * share)[(slice(None), slice(None), *(None,) * len(windows.kernel))]
        return windows.scatter(np.broadcast_to(spread, (*g.shape[:2], *windows.kernel, *windows.size)))

    g, share = _wide(case.operands["grad_output"]), _wide(common // np.maximum(counts, 1))
    taps = prod(case.pool.kernel_size)
    return {"grad_input": Form(operator, g, share, p, divisor=common, term_roundings=2, taps=taps)}


def window_maximum(case: Case) -> Float64Array:
    """The largest element of each window, padding counting as minus infinity; NaN where the window holds one."""
    windows = _pool_windows(case).gather(_wide(case.operands["input"]), -np.inf)
    return np.asarray(windows.max(axis=tuple(range(2, 2 + case.operation.rank))))


def selection(case: Case) -> Float64Array:
    """(N, C, *kernel, *size): 1 at the element that receives the gradient, the first maximum in row-major order."""
    windows, rank = _pool_windows(case), case.operation.rank
    x = _wide(case.operands["input"])
    cells = windows.gather(x, -np.inf)
    inside = windows.gather(np.ones_like(x))
    taps = prod(windows.kernel)
    flat = cells.reshape(*cells.shape[:2], taps, *windows.size)
    real = inside.reshape(flat.shape) == 1
    best = (flat == np.max(flat, axis=2, keepdims=True)) & real
    last_nan = np.isnan(flat)
    first = np.where(last_nan.any(axis=2), taps - 1 - np.argmax(last_nan[:, :, ::-1], axis=2), np.argmax(best, axis=2))
    chosen = np.arange(taps).reshape(taps, *(1,) * rank) == first[:, :, None]
    return np.asarray(chosen, dtype=np.float64).reshape(cells.shape)


def tie_range(case: Case) -> tuple[Float64Array, Float64Array]:
    """The least and the largest gradient each element can receive when a window's gradient may be split among its
    tied maxima in any way: all of it where it is the only maximum, between none and all of it where it is one of
    several."""
    windows = _pool_windows(case)
    x, g = _wide(case.operands["input"]), _wide(case.operands["grad_output"])
    spatial = tuple(range(2, 2 + case.operation.rank))
    cells = windows.gather(x, -np.inf)
    best = (cells == cells.max(axis=spatial, keepdims=True)) & (windows.gather(np.ones_like(x)) == 1)
    alone = best.sum(axis=spatial, keepdims=True) == 1
    share = best * g[(slice(None), slice(None), *(None,) * len(windows.kernel))]
    low, high = (windows.scatter(np.where(alone, share, part(share, 0.0))) for part in (np.minimum, np.maximum))
    return low, high


def has_subnormals(case: Case) -> bool:
    """Whether an operand holds a number that hardware may take for zero."""
    least = format_of(case.dtype).smallest_normal
    sizes = (np.abs(_wide(a)) for a in case.operands.values())
    return any(bool(((size > 0) & (size < least)).any()) for size in sizes)


def flushed(case: Case) -> Case:
    """The call on an input whose subnormal numbers are zeros: what a maximum is found among where they are taken so."""
    x = case.operands["input"]
    kept = np.abs(_wide(x)) >= format_of(case.dtype).smallest_normal
    return replace(case, operands={**case.operands, "input": np.where(kept, x, np.zeros_like(x))})


def _max_backward_form(case: Case, p: int) -> dict[str, Form]:
    windows = _pool_windows(case)

    def operator(g: Any, chosen: Any) -> Any:
        return windows.scatter(chosen * g[(slice(None), slice(None), *(None,) * len(windows.kernel))])

    g = _wide(case.operands["grad_output"])
    return {"grad_input": Form(operator, g, selection(case), p, term_roundings=0)}


def _signal_forms(case: Case, p: int) -> dict[str, Form]:
    in1, in2 = case.operands["in1"], case.operands["in2"]
    flip = (slice(None, None, -1),) * in2.ndim
    kernel = in2 if case.operation.kind == "correlate" else in2[flip]
    kernel = np.conj(kernel) if case.operation.kind == "correlate" else kernel
    n, m = in1.shape, in2.shape
    full = tuple(i + j - 1 for i, j in zip(n, m, strict=True))
    ones = (1,) * in1.ndim
    windows = _Windows(n, m, full, ones, ones, tuple(j - 1 for j in m))
    crop = _crop(n, m, case.settings["mode"])

    def one(a: Any, b: Any) -> Any:
        return _Correlate(windows, 1)(a[None, None], b[None, None])[(0, 0, *crop)]

    if not np.iscomplexobj(in1):
        real_norms = partial(_plain_norms, in1, kernel)
        return {"output": Form(one, _wide(in1), _wide(kernel), p, norms=real_norms, taps=in2.size)}
    x = np.stack([in1.real, in1.imag]).astype(np.float64)
    real, imag = kernel.real.astype(np.float64), kernel.imag.astype(np.float64)

    def two(a: Any, b: Any) -> Any:
        return one(a[0], b[0]) + one(a[1], b[1])

    def norms() -> Float64Array:
        return _plain_norms(in1, kernel)

    return {
        "output.real": Form(two, x, np.stack([real, -imag]), p, norms=norms, taps=2 * in2.size),
        "output.imag": Form(two, x, np.stack([imag, real]), p, norms=norms, taps=2 * in2.size),
    }


def _plain_norms(a: Any, b: Any) -> Float64Array:
    size = [_norm(np.abs(v).astype(np.float64), tuple(range(v.ndim))) for v in (a, b)]
    return np.full((1,) * a.ndim, size[0] * size[1])


def _crop(n: Sizes, m: Sizes, mode: str) -> tuple[slice, ...]:
    """Which part of the full result a mode keeps: 'same' is centred, 'valid' has the smaller operand inside."""
    if mode == "full":
        return (slice(None),) * len(n)
    if mode == "same":
        return tuple(slice((j - 1) // 2, (j - 1) // 2 + i) for i, j in zip(n, m, strict=True))
    return tuple(slice(min(i, j) - 1, max(i, j)) for i, j in zip(n, m, strict=True))


_FORMS: dict[str, Callable[[Case, int], dict[str, Form]]] = {
    "conv": _conv_form,
    "conv_transpose": _transposed_form,
    "conv_backward": _conv_backward_forms,
    "avg_pool": _avg_form,
    "avg_pool_backward": _avg_backward_form,
    "max_pool_backward": _max_backward_form,
    "convolve": _signal_forms,
    "correlate": _signal_forms,
}


# ------------------------------------------------------------------------------- values in floating point


def values(case: Case, form: dict[str, Form] | None = None) -> dict[str, Exact]:
    """The true value of each result of a call on finite operands.

    >>> from refconv.spec import OPERATIONS
    >>> x, w = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, 0.5]]])
    >>> values(Case(OPERATIONS["conv1d"], {"input": x, "weight": w}, {}, "float64"))["output"].high
    array([[[2., 4.]]])
    """
    if case.operation.kind == "max_pool":
        best = window_maximum(case)
        return {"output": Exact(best, np.zeros_like(best), np.zeros_like(best))}
    return {name: f.truth for name, f in (form or forms(case)).items()}


# --------------------------------------------------------------------------- values in rational arithmetic


def taps(case: Case) -> Iterator[tuple[Sizes, Sizes, Sizes]]:
    """Spatial relation of a call: (output position, input position, kernel position), padding left out.

    The definition itself: input = output * stride + kernel * dilation - padding.
    """
    if case.operation.kind in ("convolve", "correlate"):
        n, m = case.operands["in1"].shape, case.operands["in2"].shape
        kernel, stride, dilation, before = m, (1,) * len(m), (1,) * len(m), tuple(j - 1 for j in m)
        output, size = tuple(i + j - 1 for i, j in zip(n, m, strict=True)), n
    elif "pool" in case.operation.kind:
        spec, size = case.pool, case.operands["input"].shape[2:]
        kernel, stride, dilation = spec.kernel_size, spec.stride, spec.dilation
        output, before = spec.output_size(size), tuple(a for a, _ in spec.padding)
    else:
        geometry = case.conv
        transposed = case.operation.kind == "conv_transpose"
        size = case.shapes["output"][2:] if transposed else case.operands["input"].shape[2:]
        kernel, stride, dilation = case.operands["weight"].shape[2:], geometry.stride, geometry.dilation
        output = case.operands["input"].shape[2:] if transposed else geometry.output_size(size, kernel)
        before = tuple(a for a, _ in geometry.padding)
    for p in product(*map(range, output)):
        for k in product(*map(range, kernel)):
            i = tuple(o * s + t * d - b for o, s, t, d, b in zip(p, stride, k, dilation, before, strict=True))
            if all(0 <= j < n for j, n in zip(i, size, strict=True)):
                yield p, i, k


def rational(case: Case) -> dict[str, NDArray[np.object_]]:
    """Every result in exact rational arithmetic, straight from the definition; for small real cases.

    >>> from refconv.spec import OPERATIONS
    >>> x, w = np.array([[[1.0, 2.0, 4.0]]]), np.array([[[1.0, 0.5]]])
    >>> rational(Case(OPERATIONS["conv1d"], {"input": x, "weight": w}, {}, "float64"))["output"].astype(float)
    array([[[2., 4.]]])
    """
    exact = {name: _fractions(array) for name, array in case.operands.items()}
    out = {name: np.full(shape, Fraction(0), dtype=object) for name, shape in case.shapes.items()}
    _RATIONAL[case.operation.kind](case, exact, out)
    return out


def _fractions(array: Any) -> NDArray[np.object_]:
    flat = [Fraction(float(v)) for v in np.ravel(array)]
    out = np.empty(len(flat), dtype=object)
    out[:] = flat
    return out.reshape(np.shape(array))


def _channels(out_channels: int, in_channels: int, groups: int) -> Iterator[tuple[int, int, int]]:
    """(output channel, input channel, its index inside the group)."""
    for o in range(out_channels):
        group = o // (out_channels // groups)
        for c in range(in_channels // groups):
            yield o, group * (in_channels // groups) + c, c


def _rational_conv(case: Case, a: dict[str, Any], out: dict[str, Any]) -> None:
    x, w, y = a["input"], a["weight"], out["output"]
    for p, i, k in taps(case):
        for n in range(len(x)):
            for o, c, inner in _channels(len(w), x.shape[1], case.conv.groups):
                y[(n, o, *p)] += x[(n, c, *i)] * w[(o, inner, *k)]
    _rational_bias(a, y)


def _rational_bias(a: dict[str, Any], y: Any) -> None:
    if "bias" in a:
        bias = a["bias"]
        y += bias if bias.ndim > 1 else bias.reshape(-1, *(1,) * (y.ndim - 2))


def _rational_transposed(case: Case, a: dict[str, Any], out: dict[str, Any]) -> None:
    x, w, y = a["input"], a["weight"], out["output"]
    for p, i, k in taps(case):
        for n in range(len(x)):
            for o, c, inner in _channels(len(w), y.shape[1], case.conv.groups):
                y[(n, c, *i)] += x[(n, o, *p)] * w[(o, inner, *k)]
    _rational_bias(a, y)


def _rational_conv_backward(case: Case, a: dict[str, Any], out: dict[str, Any]) -> None:
    g, x, w = a["grad_output"], a["input"], a["weight"]
    for p, i, k in taps(case):
        for n in range(len(x)):
            for o, c, inner in _channels(len(w), x.shape[1], case.conv.groups):
                out["grad_input"][(n, c, *i)] += g[(n, o, *p)] * w[(o, inner, *k)]
                out["grad_weight"][(o, inner, *k)] += g[(n, o, *p)] * x[(n, c, *i)]
    out["grad_bias"] += g.sum(axis=(0, *range(2, g.ndim)))


def _rational_avg(case: Case, a: dict[str, Any], out: dict[str, Any]) -> None:
    x, y = a["input"], out["output"]
    for p, i, _ in taps(case):
        y[(..., *p)] += x[(..., *i)]
    y *= _reciprocal(case)


def _reciprocal(case: Case) -> NDArray[np.object_]:
    counts = window_counts(case)
    out = np.empty(counts.shape, dtype=object)
    for index, count in np.ndenumerate(counts):
        out[index] = Fraction(1, int(count))
    return out


def _rational_avg_backward(case: Case, a: dict[str, Any], out: dict[str, Any]) -> None:
    g = a["grad_output"] * _reciprocal(case)
    for p, i, _ in taps(case):
        out["grad_input"][(..., *i)] += g[(..., *p)]


def _rational_max(case: Case, a: dict[str, Any], out: dict[str, Any]) -> None:
    x, seen = a["input"], np.zeros(out["output"].shape, dtype=bool)
    for p, i, _ in taps(case):
        for n, c in product(range(x.shape[0]), range(x.shape[1])):
            here, v = (n, c, *p), x[(n, c, *i)]
            if not seen[here] or v > out["output"][here]:
                out["output"][here], seen[here] = v, True


def _rational_max_backward(case: Case, a: dict[str, Any], out: dict[str, Any]) -> None:
    x, g = a["input"], a["grad_output"]
    best: dict[Sizes, Sizes] = {}
    for p, i, _ in taps(case):
        for n, c in product(range(x.shape[0]), range(x.shape[1])):
            here, v = (n, c, *p), (n, c, *i)
            if here not in best or x[v] > x[best[here]]:
                best[here] = v
    for here, where in best.items():
        out["grad_input"][where] += g[here]


def _rational_signal(case: Case, a: dict[str, Any], out: dict[str, Any]) -> None:
    x, w = a["in1"], a["in2"]
    flip = case.operation.kind == "convolve"
    full = np.full(tuple(i + j - 1 for i, j in zip(x.shape, w.shape, strict=True)), Fraction(0), dtype=object)
    for p, i, k in taps(case):
        where = tuple(m - 1 - t for m, t in zip(w.shape, k, strict=True)) if flip else k
        full[p] += x[i] * w[where]
    out["output"][...] = full[_crop(x.shape, w.shape, case.settings["mode"])]


_RATIONAL: dict[str, Callable[[Case, dict[str, Any], dict[str, Any]], None]] = {
    "conv": _rational_conv,
    "conv_transpose": _rational_transposed,
    "conv_backward": _rational_conv_backward,
    "avg_pool": _rational_avg,
    "avg_pool_backward": _rational_avg_backward,
    "max_pool": _rational_max,
    "max_pool_backward": _rational_max_backward,
    "convolve": _rational_signal,
    "correlate": _rational_signal,
}
