"""Every fact about a floating-point format, in one table."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = ["FORMATS", "Format", "format_of", "numpy_dtype"]

Array = NDArray[np.generic]
Float64Array = NDArray[np.float64]


@dataclass(frozen=True)
class Format:
    """A binary floating-point format: `precision` bits (hidden one included), exponents from `emin` to `emax`."""

    name: str
    precision: int
    emin: int
    emax: int
    storage: str = ""  # the NumPy dtype that holds it; empty when none does

    @property
    def unit_roundoff(self) -> float:
        """u = 2^-p: the largest relative error of one rounding to nearest."""
        return 2.0**-self.precision

    @property
    def smallest_normal(self) -> float:
        return 2.0**self.emin

    @property
    def smallest_subnormal(self) -> float:
        return float(np.ldexp(1.0, self.emin - self.precision + 1))

    @property
    def max(self) -> float:
        return float(np.ldexp(2.0 - 2.0 ** (1 - self.precision), self.emax))

    def ulp(self, values: Float64Array) -> Float64Array:
        """Distance from |value| to the next larger number of the format (the unit in the last place)."""
        _, exponent = np.frexp(np.abs(values))
        exponent = np.clip(np.where(values == 0, self.emin, exponent - 1), self.emin, self.emax)
        return np.asarray(np.ldexp(1.0, exponent - self.precision + 1), dtype=np.float64)

    def round(self, values: Float64Array) -> Float64Array:
        """Round float64 values to nearest, ties to even; beyond the largest number lies infinity.

        >>> FORMATS["tf32"].round(np.array([1 + 2.0**-11, 1 + 3 * 2.0**-11]))
        array([1.        , 1.00195312])
        """
        values = np.asarray(values, dtype=np.float64)
        if self.precision >= 53:
            return values
        unit = self.ulp(values)
        with np.errstate(invalid="ignore", over="ignore"):
            rounded = np.rint(values / unit) * unit
        overflow = np.abs(rounded) > self.max
        return np.asarray(np.where(overflow, np.copysign(np.inf, values), rounded))

    def cell(self, values: Float64Array) -> tuple[Float64Array, Float64Array]:
        """All reals that round to each value: [value - half the gap below, value + half the gap above].

        The cell of infinity starts half a unit above the largest number. For float64 itself the half units
        are not representable beside the value; callers use the accumulation bound alone there.
        """
        values = np.asarray(values, dtype=np.float64)
        size = np.abs(values)
        above = self.ulp(size) / 2
        mantissa, exponent = np.frexp(size)
        at_power = (mantissa == 0.5) & (exponent - 1 > self.emin)
        below = np.where(at_power, above / 2, above)
        with np.errstate(invalid="ignore"):
            inner, outer = size - below, size + above
        edge = self.max + np.ldexp(1.0, self.emax - self.precision)
        infinite = np.isinf(size)
        inner, outer = np.where(infinite, edge, inner), np.where(infinite, np.inf, outer)
        low = np.where(values < 0, -outer, inner)
        high = np.where(values < 0, -inner, outer)
        return low, high


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("float64", 53, -1022, 1023, "float64"),
        Format("float32", 24, -126, 127, "float32"),
        Format("tf32", 11, -126, 127),
        Format("float16", 11, -14, 15, "float16"),
        Format("bfloat16", 8, -126, 127, "bfloat16"),
    )
}

_STORAGE: dict[str, np.dtype[np.generic]] = {
    "complex64": np.dtype(np.complex64),
    "complex128": np.dtype(np.complex128),
    **{name: np.dtype(name) for name in ("float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint8")},
}


def numpy_dtype(name: str) -> np.dtype[np.generic]:
    """The NumPy dtype of a dtype's name, bfloat16 included.

    >>> numpy_dtype("bfloat16").itemsize
    2
    """
    if name == "bfloat16":
        return _bfloat16()
    if name not in _STORAGE:
        raise ValueError(f"`dtype` is {name!r}, but must be one of {', '.join(sorted(('bfloat16', *_STORAGE)))}")
    return _STORAGE[name]


@cache
def _bfloat16() -> np.dtype[np.generic]:
    """NumPy itself has none; what has it is imported only where it is asked for."""
    import ml_dtypes

    dtype: np.dtype[np.generic] = np.dtype(ml_dtypes.bfloat16)
    return dtype


def format_of(dtype: np.dtype[np.generic] | str) -> Format:
    """The format of a real or complex floating dtype (of its parts, if complex).

    >>> format_of("complex64").name
    'float32'
    """
    name = {"complex64": "float32", "complex128": "float64"}.get(str(dtype), str(dtype))
    if name not in FORMATS:
        raise ValueError(f"`dtype` is {name!r}, but must be one of {', '.join(sorted(FORMATS))}")
    return FORMATS[name]
