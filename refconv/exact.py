"""The true value of a call, with a bound on its own error; shares no code with the algorithms it judges.

Every result of every operation is a bilinear form, operator(a, b) / divisor + addend, except the maximum.
Three ways to evaluate one: in rational arithmetic from the definition (`rational`), in float64 where the
precision of the operands makes that enough, and by error-free slices where it does not (`value`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache, partial
from itertools import product
from math import lcm, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv.dtypes import Float64Array, format_of
from refconv.spec import Case, Sizes

__all__ = [
    "Exact",
    "Form",
    "forms",
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

U64 = 2.0**-53
ETA64 = 2.0**-1074
Operator = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Exact:
    """The value is high + low, wrong by at most `error`, element by element."""

    high: Float64Array
    low: Float64Array
    error: Float64Array


@dataclass(frozen=True)
class Form:
    """operator(a, b) / divisor + addend, bilinear in a and b.

    `term_roundings` counts what rounds each term before it is summed (one for a product, none where b only
    selects), `final_roundings` what rounds the sum afterwards. `norms` gives the norm-wise size of the form,
    the sum over channels of |a_c| |b_c|, that transform algorithms are judged by.
    """

    operator: Operator
    a: Float64Array
    b: Float64Array
    precision: int  # significant bits of a and of b
    addend: Float64Array | None = None
    divisor: Any = 1
    term_roundings: int = 1
    final_roundings: int = 0
    norms: Callable[[], Float64Array] | None = None
    channels: int = 1  # how many terms `norms` sums
    taps: int = 0  # how many products a kernel sums for each element, those with zero included

    @cached_property
    def magnitude(self) -> Float64Array:
        """S without the addend: the same form on absolute values."""
        with np.errstate(over="ignore"):
            return np.asarray(self.operator(np.abs(self.a), np.abs(self.b)), dtype=np.float64)

    @cached_property
    def truth(self) -> Exact:
        """What `value` makes of it."""
        return value(self)

    @cached_property
    def unit(self) -> tuple[float, float]:
        """The largest power of two that divides every element of a, and of b."""
        return lowest_bit(self.a), lowest_bit(self.b)

    @cached_property
    def terms(self) -> Float64Array:
        """n: how many non-zero products each element sums."""
        ones = (self.a != 0).astype(np.float64), (self.b != 0).astype(np.float64)
        return np.asarray(self.operator(*ones), dtype=np.float64)


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

    def _inside(self) -> Any:
        return (..., *(slice(b, b + n) for b, n in zip(self.before, self.input_size, strict=True)))

    def gather(self, x: Any, fill: Any = 0) -> Any:
        """(N, C, *input_size) -> (N, C, *kernel, *size), to be read only."""
        padded = x
        if x.shape[2:] != self.padded:
            padded = np.full((*x.shape[:2], *self.padded), fill, dtype=x.dtype)
            padded[self._inside()] = x
        steps = padded.strides[2:]
        between_taps = (step * d for step, d in zip(steps, self.dilation, strict=True))
        between_windows = (step * s for step, s in zip(steps, self.stride, strict=True))
        shape, strides = (
            (*x.shape[:2], *self.kernel, *self.size),
            (*padded.strides[:2], *between_taps, *between_windows),
        )
        return np.lib.stride_tricks.as_strided(padded, shape, strides, writeable=False)

    def scatter(self, windows: Any) -> Any:
        """(N, C, *kernel, *size) -> (N, C, *input_size): the adjoint of gather."""
        padded = np.zeros((*windows.shape[:2], *self.padded), dtype=windows.dtype)
        for tap, where in _slices(self.kernel, self.size, self.stride, self.dilation):
            padded[where] += windows[(slice(None), slice(None), *tap)]
        return padded[self._inside()]


def _conv_windows(case: Case, input_size: Sizes) -> _Windows:
    spec, kernel = case.conv, case.operands["weight"].shape[2:]
    size = spec.output_size(input_size, kernel)
    return _Windows(input_size, kernel, size, spec.stride, spec.dilation, tuple(a for a, _ in spec.padding))


def _pool_windows(case: Case) -> _Windows:
    spec, input_size = case.pool, case.operands["input"].shape[2:]
    before = tuple(a for a, _ in spec.padding)
    return _Windows(input_size, spec.kernel_size, spec.output_size(input_size), spec.stride, spec.dilation, before)


# ------------------------------------------------------------------------------------- bilinear operators
# Columns: (N, groups, C/groups * taps, outputs). They take float64 and Python numbers (object arrays) alike.


def _columns(x: Any, w: _Windows, groups: int) -> Any:
    return w.gather(x).reshape(x.shape[0], groups, x.shape[1] // groups * prod(w.kernel), prod(w.size))


def _correlate(w: _Windows, groups: int) -> Operator:
    def operator(x: Any, weight: Any) -> Any:
        rows = weight.reshape(groups, weight.shape[0] // groups, prod(weight.shape[1:]))
        return np.matmul(rows, _columns(x, w, groups)).reshape(x.shape[0], weight.shape[0], *w.size)

    return operator


def _input_gradient(w: _Windows, groups: int) -> Operator:
    def operator(g: Any, weight: Any) -> Any:
        rows = weight.reshape(groups, weight.shape[0] // groups, prod(weight.shape[1:]))
        grads = g.reshape(g.shape[0], groups, g.shape[1] // groups, prod(w.size))
        columns = np.matmul(np.swapaxes(rows, 1, 2), grads)  # (N, groups, C/groups * taps, outputs)
        return w.scatter(columns.reshape(g.shape[0], groups * weight.shape[1], *w.kernel, *w.size))

    return operator


def _weight_gradient(w: _Windows, groups: int) -> Operator:
    def operator(g: Any, x: Any) -> Any:
        grads = g.reshape(g.shape[0], groups, g.shape[1] // groups, prod(w.size))
        columns = np.swapaxes(_columns(x, w, groups), 2, 3)
        total = np.matmul(grads, columns).sum(axis=0)  # (groups, O/groups, C/groups * taps)
        return total.reshape(g.shape[1], x.shape[1] // groups, *w.kernel)

    return operator


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
    operator = _correlate(_conv_windows(case, x.shape[2:]), groups)
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
    operator = _input_gradient(windows, groups)
    norms, channels = (lambda: _input_norms(x, w, groups, rank)), w.shape[0] // groups
    taps = channels * prod(w.shape[2:])
    return {"output": Form(operator, x, w, p, _bias(case), norms=norms, channels=channels, taps=taps)}


def _conv_backward_forms(case: Case, p: int) -> dict[str, Form]:
    g, x, w = (_wide(case.operands[name]) for name in ("grad_output", "input", "weight"))
    groups, rank = case.conv.groups, case.operation.rank
    windows = _conv_windows(case, x.shape[2:])

    def total(g: Any, scale: Any) -> Any:
        return (g * scale).sum(axis=(0, *range(2, rank + 2)))

    to_input, to_weight = _input_gradient(windows, groups), _weight_gradient(windows, groups)
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
        return _correlate(windows, 1)(a[None, None], b[None, None])[(0, 0, *crop)]

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


def lowest_bit(values: Float64Array) -> float:
    """The largest power of two that divides every value; infinity where all are zero.

    >>> lowest_bit(np.array([6.0, 0.75]))
    0.25
    """
    nonzero = values[values != 0]
    if nonzero.size == 0:
        return np.inf
    bits = nonzero.view(np.int64)
    exponent, fraction = bits >> 52 & 0x7FF, bits & (1 << 52) - 1
    whole = fraction | np.where(exponent > 0, 1 << 52, 0)
    return float(np.ldexp((whole & -whole).astype(np.float64), np.maximum(exponent, 1) - 1075).min())


def two_sum(a: Float64Array, b: Float64Array) -> tuple[Float64Array, Float64Array]:
    """a + b = s + e exactly [Knuth, TAOCP 2, 4.2.2]."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def _grids(values: Float64Array, bits: int) -> Iterator[tuple[Float64Array, int]]:
    """Split values into integer slices of at most `bits` bits each: values = sum slice * 2^exponent, exactly."""
    rest = values
    while rest.size and (top := np.abs(rest).max()) > 0:
        exponent = max(int(np.frexp(top)[1]) - bits, -1074)
        whole = (
            np.rint(np.ldexp(rest, -exponent))
            if exponent > -1000
            else np.rint(np.ldexp(rest * 2.0**500, -exponent - 500))
        )
        rest = rest - np.ldexp(whole, exponent)
        yield whole, exponent


def _sliced(form: Form, terms: int) -> Exact:
    """By error-free slices: each product of slices is a sum of integers below 2^53 and so exact in any order
    [Ozaki, Ogita, Oishi, Rump 2012]; their sum is compensated, its error below m^2 u^2 sum |part|
    [Ogita, Rump, Oishi 2005, Prop. 4.5]."""
    bits = (52 - int(np.ceil(np.log2(max(terms, 1) + 1)))) // 2
    parts = [(i + j, form.operator(p, q)) for p, i in _grids(form.a, bits) for q, j in _grids(form.b, bits)]
    high = np.zeros_like(form.operator(form.a * 0, form.b * 0))
    low, total = np.zeros_like(high), np.zeros_like(high)
    underflow = 0.0
    for exponent, part in sorted(parts, key=lambda item: -item[0]):
        part = np.ldexp(part, exponent)
        underflow += ETA64 if exponent < -1074 else 0.0
        high, e = two_sum(high, part)
        low, total = low + e, total + np.abs(part)
    count = len(parts) + 1
    return Exact(high, low, (count * U64) ** 2 * total * (1 + 1e-10) + underflow)


def _plain(form: Form, terms: Float64Array, magnitude: Float64Array) -> Exact:
    """In float64, whose products of two 24-bit numbers are exact; error at most (n + 1) u S [Higham 2002, 3.1]."""
    high = np.asarray(form.operator(form.a, form.b), dtype=np.float64)
    certain = magnitude < 2.0**53 * prod(form.unit)
    error = np.where(certain, 0.0, (terms + 1) * U64 * magnitude)
    return Exact(high, np.zeros_like(high), error)


def value(form: Form) -> Exact:
    """The value of a form, by plain float64 where that is provably close or exact, by slices elsewhere.

    >>> form = Form(lambda a, b: (a * b).sum(keepdims=True), np.array([1e30, 1.0, -1e30]), np.ones(3), 53)
    >>> value(form).high + value(form).low
    array([1.])
    """
    terms, magnitude = form.terms, form.magnitude
    if form.precision <= 24 or _integers_fit(form, magnitude):
        return _finish(_plain(form, terms, magnitude), form)
    return _finish(_sliced(form, int(terms.max())), form)


def _integers_fit(form: Form, magnitude: Float64Array) -> bool:
    """Whether every sum of every subset of products is an integer below 2^53 of one unit: exact in any order."""
    unit = prod(form.unit)
    return magnitude.size == 0 or bool((magnitude < 2.0**53 * unit).all() and unit >= ETA64)


def _finish(result: Exact, form: Form) -> Exact:
    """Divide and add what the form adds, keeping high + low unevaluated."""
    high, low, error = result.high, result.low, result.error
    if np.any(np.asarray(form.divisor) != 1):
        d = np.asarray(form.divisor, dtype=np.float64)
        quotient = high / d
        low = (remainder(high, quotient, d) + low) / d
        exact = (np.frexp(d)[0] == 0.5) & (np.abs(quotient) > 2.0**-960)  # a power of two, and no underflow
        # else two roundings of what is left; the remainder itself is exact but for underflow
        slack = np.where(exact & ((low == 0) | (np.abs(low) > 2.0**-1020)), 0.0, 2.0**-51 * np.abs(low) + 4 * ETA64)
        error = error / d * (1 + 2.0**-50) + slack
        high = quotient
    if form.addend is not None:
        high, e = two_sum(high, np.broadcast_to(form.addend, high.shape))
        error = error + np.where((low == 0) | (e == 0), 0.0, U64 * np.abs(low + e))
        low = low + e
    return Exact(high, low, error)


def _halves(values: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Two halves of 26 bits, values = top + bottom exactly [Dekker 1971]; scaled so as not to overflow."""
    scaled = values * 2.0**-28
    c = scaled * (2.0**27 + 1)
    top = (c - (c - scaled)) * 2.0**28
    return top, values - top


def remainder(a: Float64Array, q: Float64Array, d: Float64Array) -> Float64Array:
    """a - q d, exact where q is a / d rounded [Dekker 1971]."""
    (q1, q2), (d1, d2) = _halves(q), _halves(d)
    p = q * d
    e = ((q1 * d1 - p) + q1 * d2 + q2 * d1) + q2 * d2
    return np.asarray((a - p) - e)


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
