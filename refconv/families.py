"""Data that make faults visible: each family fills the operands of one call from a seed.

Dense random data are a poor probe: under a rigorous bound their power decays with the number of terms.
Integers whose every partial sum is representable leave no room at all; data with few non-zero products per
output leave room for a few roundings only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import floor, log2, sqrt
from typing import Any

import numpy as np

from refconv.dtypes import Array, Float64Array, format_of, numpy_dtype
from refconv.spec import Sizes

__all__ = ["FAMILIES", "Room", "fill"]

Rng = np.random.Generator


@dataclass(frozen=True)
class Room:
    """What a family may use: the dtype, and how many products the longest sum of the call has."""

    dtype: str
    terms: int

    @property
    def operand_bits(self) -> int:
        return format_of(self.dtype).precision

    @property
    def sum_bits(self) -> int:
        """Bits in which every partial sum must stay exact: the accumulator's; fewer in float16."""
        return 15 if self.dtype == "float16" else max(24, self.operand_bits)

    @property
    def wide(self) -> bool:
        """Whether the dtype's exponent range allows data over many magnitudes."""
        return self.dtype != "float16"


def fill(family: str, shapes: Mapping[str, Sizes], room: Room, seed: int) -> dict[str, Array]:
    """Operands of the given shapes; the first carries the role of the input, the others of the kernel.

    >>> fill("denseint", {"input": (1, 1, 3), "weight": (1, 1, 2)}, Room("float32", 2), seed=1)["weight"].shape
    (1, 1, 2)
    """
    if family not in FAMILIES:
        raise ValueError(f"`family` is {family!r}, but must be one of {', '.join(sorted(FAMILIES))}")
    rng = np.random.default_rng(seed)
    dtype = numpy_dtype(room.dtype)
    if dtype.kind == "c":  # both parts at once, in the same scale; each part of a product sums two
        parts = {name: (2, *shape) for name, shape in shapes.items()}
        both = FAMILIES[family](rng, parts, replace(room, terms=2 * room.terms))
        return {name: _cast(real + 1j * imaginary, dtype) for name, (real, imaginary) in both.items()}
    wide = FAMILIES[family](rng, dict(shapes), room)
    return {name: _cast(array, dtype) for name, array in wide.items()}


def _cast(array: Any, dtype: np.dtype[Any]) -> Array:
    with np.errstate(over="ignore", under="ignore"):
        cast = np.ascontiguousarray(array).astype(dtype)
    return cast.reshape(np.shape(array))


def _roles(shapes: dict[str, Sizes]) -> tuple[list[str], str | None]:
    """The operands that are multiplied, in call order, and the bias."""
    return [name for name in shapes if name != "bias"], "bias" if "bias" in shapes else None


def _integers(rng: Rng, shape: Sizes, bound: int) -> Float64Array:
    return rng.integers(-bound, bound, shape, endpoint=True).astype(np.float64)


def _range(room: Room, terms: int) -> int:
    """R with terms * R^2 + R below 2^sum_bits, and R exact in the operand."""
    limit = int(sqrt(2.0**room.sum_bits / (terms + 1)))
    largest: int = 2**room.operand_bits - 1
    return max(1, min(limit, largest))


def _scaled(rng: Rng, operands: dict[str, Float64Array], bias: str | None, room: Room) -> dict[str, Float64Array]:
    """A random power of two on each operand, their product on the bias, so that no kernel can know the data."""
    if not room.wide:
        return operands
    total = 0
    for name in operands:
        if name != bias:
            shift = int(rng.integers(-6, 7))
            operands[name], total = np.ldexp(operands[name], shift), total + shift
    if bias:
        operands[bias] = np.ldexp(operands[bias], total)
    return operands


def denseint(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """Integers as large as every partial sum allows: taps, borders, duplicates, accumulator and output show."""
    bound = _range(room, room.terms)
    _, bias = _roles(shapes)
    return _scaled(rng, {name: _integers(rng, shape, bound) for name, shape in shapes.items()}, bias, room)


def posint(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """Positive integers in [3R/4, R], R as in denseint: every partial sum comes near 2^p, so that an intermediate
    value larger than the products' sum, as in fast transforms, must be rounded."""
    bound = _range(room, room.terms)
    _, bias = _roles(shapes)
    low = max(1, 3 * bound // 4)
    drawn = {name: rng.integers(low, bound, shape, endpoint=True).astype(np.float64) for name, shape in shapes.items()}
    return _scaled(rng, drawn, bias, room)


def _asymmetric(side: int) -> Callable[[Rng, dict[str, Sizes], Room], dict[str, Float64Array]]:
    def family(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
        names, bias = _roles(shapes)
        full = names[0] if side == 0 else names[-1]
        few = max(1, min(room.terms, 256))
        bits = max(1, min(room.operand_bits, floor(room.sum_bits - log2(few + 1))))
        # of many terms so few are kept that more than `few` would be a deviation of six sigma
        density = 0.8 if room.terms <= few else 0.65 * few / room.terms
        out: dict[str, Float64Array] = {}
        for name, shape in shapes.items():
            if name == full:
                out[name] = 2 * _integers(rng, shape, 2 ** (bits - 1) - 1) + 1 if bits > 1 else np.ones(shape)
            elif name == bias:
                out[name] = _integers(rng, shape, 2 ** (bits - 1))
            else:
                out[name] = rng.choice([-1.0, 1.0], shape) * (rng.random(shape) < density)
        return _scaled(rng, out, bias, room)

    return family


def sparse4(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """Normal data with about four non-zero products per output: rounding of operands and results shows,
    and any transform (outputs that sum nothing must be exactly zero)."""
    names, _ = _roles(shapes)
    out = normal(rng, shapes, room)
    for name in names[1:] or names:
        keep = rng.random(shapes[name]) < min(1.0, 4 / max(room.terms, 1))
        out[name] = out[name] * keep
    return out


def normal(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """Independent N(0, 1)."""
    return {name: rng.standard_normal(shape) for name, shape in shapes.items()}


def positive(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """Uniform in [1/2, 1): partial sums grow without cancellation."""
    return {name: rng.uniform(0.5, 1.0, shape) for name, shape in shapes.items()}


def coherent(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """All positive, low mantissa bits set, so that errors of rounded operands add up instead of averaging."""
    ones = 2.0**-11 - 2.0 ** (1 - room.operand_bits) if room.operand_bits > 12 else 0.0
    return {name: 1 + _integers(rng, shape, 7) / 16 + ones for name, shape in shapes.items()}


def heavy(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """Normal data spread over 24 binary magnitudes (8 in float16)."""
    spread = 12.0 if room.wide else 4.0
    return {
        name: rng.standard_normal(shape) * np.exp2(rng.uniform(-spread, spread, shape))
        for name, shape in shapes.items()
    }


def scaled(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """Normal data, the first operand scaled far up or down, the others by the inverse: clamped values show."""
    names, bias = _roles(shapes)
    out = normal(rng, shapes, room)
    top = format_of(room.dtype).emax
    shift = int(rng.integers(top // 3, 3 * top // 4)) * int(rng.choice([-1, 1]))
    for i, name in enumerate(names):
        out[name] = np.ldexp(out[name], shift if i == 0 else -shift)
    if bias and len(names) == 1:
        out[bias] = np.ldexp(out[bias], shift)
    return out


def subnormal(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """Products around the smallest normal number: flushing to zero shows."""
    emin = format_of(room.dtype).emin
    names, bias = _roles(shapes)
    out = normal(rng, shapes, room)
    for i, name in enumerate(names):
        out[name] = np.ldexp(out[name], emin // 2 - i % 2 if len(names) > 1 else emin)
    if bias:
        out[bias] = np.ldexp(out[bias], emin)
    return out


def impulse(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """One element set in the first operand, normal data in the others: the footprint of a read shows."""
    out = normal(rng, shapes, room)
    first = next(iter(shapes))
    flat = np.zeros(out[first].size)
    if flat.size:
        flat[rng.integers(flat.size)] = 1.0
    out[first] = flat.reshape(shapes[first])
    if "bias" in out:
        out["bias"] = np.zeros(shapes["bias"])
    return out


def ties(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """Integers from -2 to 2: windows with several maxima, and all-negative ones."""
    return {name: _integers(rng, shape, 2) for name, shape in shapes.items()}


def negative(rng: Rng, shapes: dict[str, Sizes], room: Room) -> dict[str, Float64Array]:
    """Far below zero: a border or an initial value of zero wins every maximum it takes part in."""
    scale = 1.0 if not room.wide else 1e6
    return {name: -scale * rng.uniform(1.0, 2.0, shape) for name, shape in shapes.items()}


FAMILIES: dict[str, Callable[[Rng, dict[str, Sizes], Room], dict[str, Float64Array]]] = {
    "denseint": denseint,
    "posint": posint,
    "asymX": _asymmetric(0),
    "asymW": _asymmetric(1),
    "sparse4": sparse4,
    "normal": normal,
    "positive": positive,
    "coherent": coherent,
    "heavy": heavy,
    "scaled": scaled,
    "subnormal": subnormal,
    "impulse": impulse,
    "ties": ties,
    "negative": negative,
}
