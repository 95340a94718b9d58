"""The value of a bilinear form in float64, with a proved bound on its error, as fine as a judge needs it.

Operands are cut into slices whose products BLAS sums without error; what the slices leave is multiplied in plain
float64 once its rounding errors are far below the one error that every judge allows for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any

import numpy as np

from refconv.dtypes import Float64Array

__all__ = ["FINE", "Exact", "Form", "lowest_bit", "remainder", "two_sum", "value"]

U64 = 2.0**-53
ETA64 = 2.0**-1074
CACHED = 2**14  # numbers worked on at once, 128 KiB
# An error of a value is at most so much of what one rounding of S to the operands' format can be.
FINE = 2.0**-12
# Bilinear. Where it has a method `dense`, that counts the products of each element from the shapes of two operands
# without a zero.
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
        a, b = self.a != 0, self.b != 0
        dense = getattr(self.operator, "dense", None)
        if dense is not None and a.all() and b.all():
            return np.asarray(dense(a.shape, b.shape), dtype=np.float64)
        # each element of a meets an element of the result at most once: counts that float32 holds
        narrow = np.float32 if a.size < 2**24 else np.float64
        return np.asarray(self.operator(a.astype(narrow), b.astype(narrow)), dtype=np.float64)


def lowest_bit(values: Float64Array) -> float:
    """The largest power of two that divides every value; infinity where all are zero.

    >>> lowest_bit(np.array([6.0, 0.75]))
    0.25
    """
    flat = values.reshape(-1)
    return min((_lowest(flat[i : i + CACHED]) for i in range(0, flat.size, CACHED)), default=np.inf)


def _lowest(numbers: Float64Array) -> float:
    """Less itself without the last bit of its fraction, a number is that bit; or zero, where it is a power of two."""
    numbers = np.abs(numbers)
    bits = numbers.view(np.int64)
    last = numbers - (bits & (bits - 1) | bits & 0x7FF << 52).view(np.float64)
    last[last == 0] = numbers[last == 0]
    return float(last.min(where=last > 0, initial=np.inf))


def two_sum(a: Float64Array, b: Float64Array) -> tuple[Float64Array, Float64Array]:
    """a + b = s + e exactly [Knuth, TAOCP 2, 4.2.2]."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def value(form: Form) -> Exact:
    """The value of a form; its error is none where every partial sum is representable, else at most FINE 2^-p S.

    S is the sum of the absolute values of the products, p the operands' precision: 2^-p S is the least that rounding
    one value of that size may cost a kernel. Plain float64 is wrong by less than (n + 1) u S where products are exact
    [Higham 2002, Lemma 3.1], which is that fine for operands of 24 bits and up to half a million terms. All others
    are sliced. Where S is below 2^53 units, the unit one that divides every product, the value is a whole number of
    units, and the one nearest to the sum.

    >>> form = Form(lambda a, b: (a * b).sum(keepdims=True), np.array([1e30, 1.0, -1e30]), np.ones(3), 53)
    >>> got = value(form)
    >>> bool(abs(got.high + got.low - 1) <= got.error) and bool(got.error < 2.0**-63 * 2e30)
    True
    """
    size, unit = form.magnitude, prod(form.unit)
    whole = (size < 2.0**53 * unit) & (unit >= ETA64)
    if whole.all():
        return _finish(_plain(form, np.zeros(size.shape)), form)
    terms = form.terms
    if form.precision <= 24 and (terms.max() + 1) * U64 <= FINE * 2.0**-form.precision:
        error = (terms + 1) * size
        error *= U64
        error[whole] = 0.0
        return _finish(_plain(form, error), form)
    got = _sliced(form)
    if whole.any():
        nearest = np.rint((got.high + got.low) / unit) * unit
        got = Exact(*(np.where(whole, a, b) for a, b in ((nearest, got.high), (0.0, got.low), (0.0, got.error))))
    return _finish(got, form)


def _plain(form: Form, error: Float64Array) -> Exact:
    high = np.asarray(form.operator(form.a, form.b), dtype=np.float64)
    return Exact(high, np.zeros_like(high), error)


Part = tuple[Float64Array, int]  # numbers of at most 2^bits, and the exponent of the power of two that they count


class _Slices:
    """An operand as a sum of slices, whole numbers, and of the tail that they leave: all of at most 2^bits."""

    def __init__(self, values: Float64Array, bits: int) -> None:
        self.bits, self.rest = bits, values
        self.slices: list[Part] = []
        self.tails: list[Part | None] = [self._scaled()]

    def slice(self, index: int) -> Part | None:
        """The slice of this index; None where nothing is left for it."""
        self.tail(index + 1)
        return self.slices[index] if index < len(self.slices) else None

    def tail(self, count: int) -> Part | None:
        """What so many slices leave; None where they leave nothing."""
        while len(self.tails) <= count:
            self._cut()
        return self.tails[count]

    def _scaled(self) -> Part | None:
        top = float(np.abs(self.rest).max(initial=0.0))
        if top == 0:
            return None
        exponent = max(int(np.frexp(top)[1]) - self.bits, -1074)
        return _ldexp(self.rest, -exponent), exponent

    def _cut(self) -> None:
        tail = self.tails[-1]
        if tail is not None:
            scaled, exponent = tail
            # away from zero, the largest numbers would leave the range
            whole = np.rint(scaled) if self.bits + exponent < 1024 else np.trunc(scaled)
            self.slices.append((whole, exponent))
            self.rest = self.rest - _ldexp(whole, exponent)
            tail = self._scaled()
        self.tails.append(tail)


Pair = tuple[Part, Part]


def _pairs(a: _Slices, b: _Slices, level: int) -> tuple[list[Pair], list[Pair]]:
    """a b as products of slices, the first `level` of either down to that order, and the products with a tail."""
    whole: list[Pair] = []
    cut: list[Pair] = []
    for i in range(level):
        if (left := a.slice(i)) is not None:
            whole += [(left, right) for j in range(level - i) if (right := b.slice(j)) is not None]
            cut += [(left, right)] if (right := b.tail(level - i)) is not None else []
    left, right = a.tail(level), b.tail(0)
    return whole, cut + ([(left, right)] if left is not None and right is not None else [])


def _bits(form: Form, longest: int) -> tuple[int, int]:
    """Bits of the slices of a and of b, so that `longest` products of two slices add up to at most 2^53; as many to
    each, but no more than it has."""
    total = 53 - (longest - 1).bit_length()
    has_a, has_b = (_width(v, u) for v, u in zip((form.a, form.b), form.unit, strict=True))
    of_b = min(total // 2, has_b)
    of_a = min(total - of_b, has_a)
    return of_a, total - of_a


def _width(values: Float64Array, unit: float) -> int:
    """Bits from the highest of all values down to the lowest."""
    return int(np.frexp(np.abs(values).max())[1] - np.frexp(unit)[1]) + 1


def _sliced(form: Form) -> Exact:
    """By error-free slices: each product of slices is a sum of integers of at most 2^53 and so exact in any order
    [Ozaki, Ogita, Oishi, Rump 2012]. The m of them are added by a compensated sum, whose error is below (m u)^2
    sum |part| [Ogita, Rump, Oishi 2005, Prop. 4.5], and sum |part| below 4 m S: no slice of a number is larger than
    twice the number. The k products with a tail are summed in plain float64: n terms in each, of at most L in all of
    them, and k additions more, wrong by less than n gamma_(n + k) L [Higham 2002, Lemma 3.1]. The number of slices is
    the least with which that is fine for every element. What is scaled to below the smallest subnormal loses half of
    it at most; what underflows inside a product, of numbers up to 2^bits, is far below n gamma_n L.
    """
    terms, size = form.terms, form.magnitude
    bits = _bits(form, int(terms.max()))
    a, b = (_Slices(v, n) for v, n in zip((form.a, form.b), bits, strict=True))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        fine = FINE * 2.0**-form.precision * np.min(size / terms, where=terms > 0, initial=np.inf)
        level = 0
        while (lost := _lost(terms.max(), (pairs := _pairs(a, b, level))[1], sum(bits))) > fine:
            level += 1
        whole, cut = pairs
        high, low, rest = np.zeros_like(size), np.zeros_like(size), np.zeros_like(size)
        for pair in whole:
            high, e = two_sum(high, _product(form, pair))
            low += e
        for pair in cut:
            rest += _product(form, pair)
        high, low = two_sum(high, low + rest)
        underflow = ETA64 * sum(p[1] + q[1] < -1074 for p, q in whole + cut)
        error = (terms * lost + 4 * (len(whole) + 1) ** 3 * U64**2 * size) * (1 + 1e-10) + underflow
    return Exact(high, low, np.where(terms > 0, error, 0.0))


def _lost(longest: float, cut: list[Pair], bits: int) -> float:
    """gamma_(n + k) L, for products with a tail."""
    steps = (longest + len(cut)) * U64
    return float(sum(np.ldexp(1.0, bits + p[1] + q[1]) for p, q in cut)) * steps / (1 - steps)


def _product(form: Form, pair: Pair) -> Float64Array:
    (p, i), (q, j) = pair
    return _ldexp(np.asarray(form.operator(p, q), dtype=np.float64), i + j)


def _ldexp(values: Any, exponent: int) -> Float64Array:
    """values 2^exponent, rounded once; a product where the power is a normal number, which is faster."""
    return np.asarray(values * 2.0**exponent if -1022 <= exponent <= 1023 else np.ldexp(values, exponent))


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
