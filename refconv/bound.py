"""The largest error a correct kernel of a claimed class can make, element by element.

The only place where a number of roundings is argued about. Notation: u unit roundoff, S the sum of the
absolute values of the products, n the number of non-zero products, N the number of non-zero summands.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import ceil, log2, prod, sqrt
from typing import Any

import numpy as np

from refconv import exact
from refconv.algorithms.winograd import transform_matrices
from refconv.claims import Claims, parse_winograd
from refconv.dtypes import FORMATS, Float64Array, Format, format_of
from refconv.exact import Form
from refconv.spec import Case, ConvSpec, Sizes

__all__ = ["accumulator", "allowed"]

# Tensor-core accumulation: aligned to f = 23 fraction bits, truncated, then truncated to 24 bits:
# 2 * 2^-f + 2^-23 per non-zero product [Fasi, Higham, Mikaitis, Pranesh 2021; the model, not a vendor's promise].
TENSOR_CORE_U = 3 * 2.0**-23
# A kernel may round to a wider format first, u_w: (1 + u_w)(1 + u) - 1 in place of u. Of the wider formats in use,
# x87's 64 bits over float64 are the narrowest, u_w = 2^-11 u. A kernel that carries all its sums in such a format and
# rounds once is within that as well: n u_w + u <= n (u + u_w).
DOUBLE_ROUNDING = 2.0**-11
# Rounding toward zero keeps 11 bits of TF32 and 8 of bfloat16: at most 2 u relative.
INPUT_EPSILON = {"none": 0.0, "tf32": 2.0**-10, "bf16": 2.0**-7}


def accumulator(dtype: str, claims: Claims) -> Format:
    """The format sums are carried in.

    >>> accumulator("bfloat16", Claims()).name
    'float32'
    """
    if claims.accumulate in FORMATS:
        return FORMATS[claims.accumulate]
    if claims.accumulate == "tensor-core":
        return FORMATS["float32"]
    own = format_of(dtype)
    return own if own.precision > 24 else FORMATS["float32"]


def allowed(
    case: Case, claims: Claims, forms: dict[str, Form] | None = None, *, overflow: bool = True
) -> dict[str, Float64Array]:
    """The largest error of each result's sum, before the one rounding to a narrower output dtype.

    Infinity where some order of summation could overflow: there a result may be infinite or NaN. Where it is
    finite nothing has overflowed, and the error is the one with `overflow=False`.
    """
    if case.operation.kind == "max_pool":
        return {"output": _max_allowed(case, claims)}
    return {name: _allowed(case, claims, name, form, overflow) for name, form in (forms or exact.forms(case)).items()}


def _max_allowed(case: Case, claims: Claims) -> Float64Array:
    """None; but where subnormal numbers may be taken for zero, those of a window tie with each other and with zero, and
    any that tie, or zero, may be the maximum."""
    none = np.zeros(case.shapes["output"])
    if claims.subnormals == "ieee" or not exact.has_subnormals(case):
        return none
    least, x = format_of(case.dtype).smallest_normal, case.operands["input"].astype(np.float64)
    small = np.where((x != 0) & (np.abs(x) < least), -x, -np.inf)  # turned round: its maximum is their minimum
    lowest = -exact.window_maximum(replace(case, operands={"input": small}))
    best = exact.window_maximum(case)
    room = np.maximum(np.maximum(best - lowest, best), -best)
    return np.where(np.isfinite(lowest) & (np.abs(best) < least), room, none)


def _allowed(case: Case, claims: Claims, name: str, form: Form, overflow: bool) -> Float64Array:
    acc = accumulator(case.dtype, claims)
    if form.magnitude.size == 0:
        return np.zeros(form.magnitude.shape)
    direct = _Direct(claims, form, acc)
    bound = direct.bound()
    if claims.algorithm == "fft" and form.norms is not None:
        bound = np.maximum(bound, _fft(case, form, acc.unit_roundoff, direct.smallest_step))
    elif claims.algorithm.startswith("winograd") and (tiled := _winograd(case, claims, name, form, direct)) is not None:
        bound = np.maximum(bound, tiled)
    if claims.epilogue == "separate" and form.addend is not None:
        bound = bound + direct.stored(format_of(case.dtype))
    most = acc.max if overflow else np.finfo(np.float64).max
    bound = np.where(direct.cap <= most, bound, np.inf)  # also where the cap itself cannot be computed
    return np.asarray(bound / np.asarray(form.divisor, dtype=np.float64))


class _Direct:
    """Direct summation in any order, with or without FMA.

    B1 = pert + r u S + (N - 1) u ufp(cap) + e u cap: the errors of all nodes of the summation tree add up
    without amplification [Rump 2012; Jeannerod, Rump 2013].  B2 = ((1 + u)^q - 1) S: each leaf passes at most
    q roundings [Higham 2002, Lemma 3.1]. The bound is the smaller one; nothing at all where every partial sum
    in every order is representable. All in units of the form, before its division.
    """

    def __init__(self, claims: Claims, form: Form, acc: Format) -> None:
        self.form, self.acc, self.claims = form, acc, claims
        tensor_core = claims.accumulate == "tensor-core"
        self.u = TENSOR_CORE_U if tensor_core else acc.unit_roundoff * (1 + DOUBLE_ROUNDING)
        self.divisor = np.asarray(form.divisor, dtype=np.float64)
        addend = 0.0 if form.addend is None else np.abs(form.addend)
        self.summands = form.terms + (addend != 0)
        self.size = form.magnitude + addend
        self.additions = form.terms if tensor_core else np.maximum(self.summands - 1, 0)
        exact_products = form.term_roundings == 1 and 2 * form.precision <= acc.precision
        self.term_roundings = 0 if exact_products else form.term_roundings
        # a value that is added without a product is rounded when an accumulator narrower than it is loaded
        loads = form.precision > acc.precision
        self.term_roundings = max(self.term_roundings, int(loads))
        self.loaded = self.u * addend if loads else 0.0
        e = INPUT_EPSILON[claims.input_rounding]
        sides = 2 if form.term_roundings == 1 else 1
        self.input_growth = (1 + e) ** sides - 1
        roundings = self.term_roundings + self.additions + form.final_roundings
        self.growth = np.expm1(roundings * np.log1p(self.u))
        # subnormals kept: half the smallest one is lost at a product; flushed: at most the smallest normal
        self.gradual = claims.subnormals == "ieee" or acc.emin > -126
        self.smallest_step = acc.smallest_subnormal / 2 if self.gradual else acc.smallest_normal
        with np.errstate(over="ignore", invalid="ignore"):
            self.perturbation = self.input_growth * form.magnitude
            self.underflow = self._underflow()
            self.cap = (self.size + self.perturbation + self.underflow) * (1 + self.growth)

    def bound(self) -> Float64Array:
        u, form, growth = self.u, self.form, self.growth
        per_term = np.expm1(self.term_roundings * np.log1p(u))
        with np.errstate(over="ignore", invalid="ignore"):
            # terms may be divided before they are summed: the binade of a sum differs from that of the sum's quotient
            binade = np.maximum(_ufp(self.cap), _ufp(self.cap / self.divisor) * self.divisor)
            nodes = self.additions * u * binade + form.final_roundings * u * self.cap
            # terms may be scaled after they are summed: (1 + growth)
            terms = per_term * (form.magnitude + self.perturbation) + self.loaded
            first = self.perturbation + terms * (1 + growth) + nodes
            second = (self.input_growth + growth + self.input_growth * growth) * self.size
            direct = np.maximum(np.minimum(first, second), self._compensated(terms))
            # S and n are themselves computed in float64: relative error far below 1e-10
            bound = direct * (1 + 1e-10) + self.underflow * (1 + growth)
        return np.asarray(np.where(self._representable() | (self.size == 0), 0.0, bound))

    def _compensated(self, terms: Any) -> Float64Array:
        """Compensated summation, (2 u + 4 N u^2) S [Kahan 1965; Goldberg 1991, Theorem 8], where there are zero terms.

        A zero adds the part that the sum before it lost, known by roundings of its own: of two terms and a zero the
        sum may be wrong by more than one rounding. Without a zero the last addition is the same as everywhere.
        """
        u, form = self.u, self.form
        some = (self.additions > 0) & (form.terms < form.taps)
        if not some.any():
            return np.zeros(())
        lost = (2 * u + 4 * form.taps * u**2) * self.size * (1 + self.growth) + form.final_roundings * u * self.cap
        return np.asarray(np.where(some, self.perturbation + terms * (1 + self.growth) + lost, 0.0))

    def stored(self, out: Format) -> Float64Array:
        """What rounding the sum of products to the output's format, before the addend, costs: u_out of it, and the
        one addition that follows it may lie in the next binade; anything where the stored sum may overflow."""
        with np.errstate(over="ignore", invalid="ignore"):
            largest = (self.form.magnitude + self.perturbation + self.underflow) * (1 + self.growth)
            room = out.unit_roundoff * largest * (1 + self.u) + out.smallest_subnormal / 2
            next_binade = self.u * (_ufp(self.cap + room) - _ufp(self.cap))
        return np.asarray(np.where(largest > out.max, np.inf, room + next_binade))

    def _underflow(self) -> Float64Array:
        """Gradual: half the smallest subnormal for each product or quotient [Higham 2002, eq. 2.8]; flushed: the
        smallest normal for each operation, and what flushed operands would have contributed. Rounded operands
        may lose what is below their format's normal range."""
        form, tiny = self.form, self.acc.smallest_normal
        if self.gradual:
            lost = self.summands * self.smallest_step * self.divisor
        else:
            lost = (self.summands + self.additions + form.final_roundings) * tiny * self.divisor
        if not self.gradual or self.claims.input_rounding != "none":
            a, b = np.abs(form.a), np.abs(form.b)
            for small, other in ((np.where(a < tiny, a, 0), b), (a, np.where(b < tiny, b, 0))):
                if small.any() and other.any():
                    lost = lost + form.operator(small, other)
        return np.asarray(lost)

    def _representable(self) -> Any:
        """Every product and partial sum is a multiple of one unit and below 2^p of it, in every order."""
        form, tiny = self.form, self.acc.smallest_normal
        if self.claims.input_rounding != "none" or not _power_of_two(form.divisor):
            return False
        parts = (form.a, form.b) if form.addend is None else (form.a, form.b, form.addend)
        if not self.gradual and any(((part != 0) & (np.abs(part) < tiny)).any() for part in parts):
            return False
        unit = prod(form.unit)
        if form.addend is not None:
            unit = min(unit, exact.lowest_bit(form.addend))
        if unit / np.max(form.divisor, initial=1) < (self.acc.smallest_subnormal if self.gradual else tiny):
            return False
        return self.size < 2.0**self.acc.precision * unit


def _ufp(values: Float64Array) -> Float64Array:
    """Unit in the first place: the largest power of two not above |value|."""
    _, exponent = np.frexp(values)
    return np.asarray(np.where(values == 0, 0.0, np.ldexp(1.0, exponent - 1)))


def _power_of_two(values: Any) -> bool:
    return bool(np.all(np.frexp(np.asarray(values, dtype=np.float64))[0] == 0.5))


# --------------------------------------------------------------------------------------- transform classes


def _fft(case: Case, form: Form, u: float, smallest_step: float) -> Float64Array:
    """Norm-wise: [g^(3 L) (1 + sqrt(2) ((1 + u)^(2 C) - 1)) - 1] sum_c |a_c| |b_c| [Percival 2003, Thm 5.1].

    One radix-p stage grows the error by sqrt(p) (p - 1 + sqrt(5) + 2) u (butterfly sums, complex product, twiddle
    within 2 u); per doubling of the length that is worst, 13.7 u, at p = 11, the largest radix of fast lengths, and
    3 (L + 2) 5.3 u for Bluestein's algorithm: 16 u covers all. Two levels more for the passes of real transforms;
    sqrt(2) for each axis where overlapping tiles are added. Underflow at a node reaches an output with weight 1 at
    most, after the division by the length: a few steps for each level and channel.
    """
    assert form.norms is not None
    axes = _transform_lengths(case)
    levels = sum(max(1, ceil(log2(n))) for n in axes) + 2
    growth = np.expm1(3 * levels * np.log1p(16 * u))
    channels = sqrt(2) * np.expm1(2 * form.channels * np.log1p(u))
    size = form.norms() * sqrt(2) ** len(axes)
    addend = 0.0 if form.addend is None else np.abs(form.addend)
    bound = (growth + channels + growth * channels) * size + 2 * u * (size + addend)
    bound = bound + np.where(size + addend > 0, 4 * (levels + form.channels) * smallest_step, 0.0)
    return np.asarray(np.broadcast_to(bound, form.magnitude.shape))


def _transform_lengths(case: Case) -> list[int]:
    """Length of the full linear convolution along each axis."""
    if case.operation.kind in ("convolve", "correlate"):
        return [a + b for a, b in zip(case.operands["in1"].shape, case.operands["in2"].shape, strict=True)]
    kernel, spec = case.operands["weight"].shape[2:], case.conv
    size = case.shapes["output"][2:] if case.operation.kind == "conv_transpose" else case.operands["input"].shape[2:]
    axes = zip(size, spec.padding, spec.extent(kernel), strict=True)
    return [n + a + b + e for n, (a, b), e in axes]


def _winograd(case: Case, claims: Claims, name: str, form: Form, direct: _Direct) -> Float64Array | None:
    """((1 + u)^q - 1) W with W = |A^T| [sum_c (|G| |g_c|) o (|B^T| |d_c|)] on tiles that start at the output's origin;
    None where the claimed F(m, r) cannot compute the call. q counts the non-zeros of a row of each matrix, one more
    where its entries are rounded, and the terms of the sum [Barabasz, Anderson, Soodhalter, Gregg 2020,
    componentwise]: channels, or for the gradient of the weight, by F(r, m), pieces of all images.
    Underflow of a product reaches an output through |A^T| along each axis."""
    if case.operation.kind not in ("conv", "conv_transpose", "conv_backward") or name == "grad_bias":
        return None
    kernel, spec = case.operands["weight"].shape[2:], case.conv
    rank = len(kernel)
    m, r = parse_winograd(claims.algorithm)
    m, r = (m * rank, r * rank) if len(m) == 1 else (m, r)
    if len(m) != rank or any(k not in (1, taps) for k, taps in zip(kernel, r, strict=True)):
        return None
    if any(v != 1 for v in spec.stride + spec.dilation):
        return None
    if name == "grad_weight":
        matrices = [_absolute(k, mi) for mi, k in zip(m, kernel, strict=True)]
        size_w, terms = _piece_magnitude(np.abs(form.a), np.abs(form.b), spec, m, matrices)
    else:
        x, w, before = _winograd_operands(case, form)
        matrices = [_absolute(mi, k) for mi, k in zip(m, kernel, strict=True)]
        size = form.magnitude.shape[2:]
        size_w = _tile_magnitude(np.abs(x), np.abs(w), spec.groups, before, size, m, matrices)
        terms = form.channels
    steps = sum(_row_steps(part) for axis in matrices for part in axis)
    q = steps + terms + (form.addend is not None)
    addend = 0.0 if form.addend is None else np.abs(form.addend)
    spread = prod(float(a.sum(axis=1).max()) for a, _, _ in matrices)
    lost = np.where(size_w > 0, spread * (2 * terms + steps) * direct.smallest_step, 0.0)
    return np.asarray(np.expm1(q * np.log1p(direct.acc.unit_roundoff)) * (size_w + addend) + lost)


def _winograd_operands(case: Case, form: Form) -> tuple[Any, Any, Sizes]:
    """The stride-1 correlation that gives an output or a gradient of the input: input, kernel, leading padding."""
    spec, kernel = case.conv, case.operands["weight"].shape[2:]
    before = tuple(a for a, _ in spec.padding)
    if case.operation.kind == "conv":
        return form.a, form.b, before
    w = form.b.reshape(spec.groups, -1, *form.b.shape[1:])  # (groups, O/groups, C/groups, *kernel)
    w = np.flip(np.swapaxes(w, 1, 2), axis=tuple(range(3, 3 + len(kernel))))
    w = w.reshape(-1, *w.shape[2:])
    return form.a, w, tuple(k - 1 - b for k, b in zip(kernel, before, strict=True))


Matrices = tuple[Float64Array, Float64Array, Float64Array]


def _absolute(m: int, r: int) -> Matrices:
    """|A^T| (m, t), |G| (t, r), |B^T| (t, t), with t = m + r - 1."""
    a, g, b = transform_matrices(m, r)
    parts = [np.abs(np.array([[float(v) for v in row] for row in matrix])) for matrix in (a, g, b)]
    return parts[0].T, parts[1], parts[2].T


def _row_steps(matrix: Float64Array) -> int:
    """Roundings an entry passes in one product with the matrix; one more where its entries had to be rounded."""
    mantissa = np.frexp(matrix[matrix != 0])[0]
    rounded = bool(np.any(np.abs(np.ldexp(mantissa, 8)) % 1))
    return int((matrix != 0).sum(axis=1).max()) + rounded


def _along(matrix: Float64Array, array: Any, axis: int) -> Any:
    return np.moveaxis(np.tensordot(matrix, array, axes=(1, axis)), 0, axis)


def _tile_magnitude(
    x: Any, w: Any, groups: int, before: Sizes, size: Sizes, m: Sizes, matrices: list[Matrices]
) -> Float64Array:
    rank, t = len(size), tuple(len(g) for _, g, _ in matrices)
    tiles = tuple(-(-o // mi) for o, mi in zip(size, m, strict=True))
    blocks = _tiles(x, before, m, t, tiles)
    for axis, (_, g, b) in enumerate(matrices):
        blocks, w = _along(b, blocks, 2 + axis), _along(g, w, 2 + axis)
    n, spots = len(x), prod(t)
    left = w.reshape(groups, -1, w.shape[1], spots)
    right = blocks.reshape(n, groups, w.shape[1], spots, prod(tiles))
    total = np.einsum("gocs,ngcsp->ngosp", left, right).reshape(n, -1, *t, *tiles)
    for axis, (a, _, _) in enumerate(matrices):
        total = _along(a, total, 2 + axis)
    order = [axis for i in range(rank) for axis in (2 + rank + i, 2 + i)]  # tile, place within it
    total = total.transpose(0, 1, *order).reshape(n, -1, *(k * mi for k, mi in zip(tiles, m, strict=True)))
    return np.asarray(total[(..., *(slice(0, o) for o in size))])


def _piece_magnitude(
    grad_output: Any, x: Any, spec: ConvSpec, m: Sizes, matrices: list[Matrices]
) -> tuple[Float64Array, int]:
    """The same for the gradient of the weight, whose kernel is the output's gradient in pieces of m, and their number:
    |A^T| [sum over images and pieces of (|G| |g|) o (|B^T| |d|)]."""
    n, groups, t = len(x), spec.groups, tuple(len(g) for _, g, _ in matrices)
    counts = tuple(-(-o // mi) for o, mi in zip(grad_output.shape[2:], m, strict=True))
    blocks = _tiles(x, tuple(before for before, _ in spec.padding), m, t, counts)
    pieces = _tiles(grad_output, (0,) * len(m), m, m, counts)
    for axis, (_, g, b) in enumerate(matrices):
        blocks, pieces = _along(b, blocks, 2 + axis), _along(g, pieces, 2 + axis)
    left, right = (part.reshape(n, groups, part.shape[1] // groups, prod(t), prod(counts)) for part in (pieces, blocks))
    total = np.einsum("ngosp,ngcsp->gocs", left, right)
    total = total.reshape(-1, total.shape[2], *t)
    for axis, (a, _, _) in enumerate(matrices):
        total = _along(a, total, 2 + axis)
    return np.asarray(total), n * prod(counts)


def _tiles(x: Any, before: Sizes, m: Sizes, t: Sizes, counts: Sizes) -> Any:
    """Tiles of size t, m apart, the first `before` ahead of x, zero outside it: (N, C, *t, *counts)."""
    d = _window(x, before, tuple(n * mi + ti - mi for n, mi, ti in zip(counts, m, t, strict=True)))
    tiles: Any = np.empty((*x.shape[:2], *t, *counts))
    for where in product(*map(range, t)):
        cut = tuple(slice(i, i + (n - 1) * mi + 1, mi) for i, n, mi in zip(where, counts, m, strict=True))
        tiles[(slice(None), slice(None), *where)] = d[(..., *cut)]
    return tiles


def _window(x: Any, before: Sizes, size: Sizes) -> Any:
    """The part of x, zero outside, that starts `before` cells ahead of it and is `size` long."""
    out: Any = np.zeros((*x.shape[:2], *size))
    into, cut = [], []
    for n, b, s in zip(x.shape[2:], before, size, strict=True):
        start, stop = max(0, -b), min(n, s - b)
        into.append(slice(start + b, max(start, stop) + b))
        cut.append(slice(start, max(start, stop)))
    out[(..., *into)] = x[(..., *cut)]
    return out
