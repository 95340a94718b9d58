"""Which library's arrays operands are, and the formats they are computed in: facts of the array-API standard.

Functions take arrays of any library that `array-api-compat` knows [Consortium for Python Data API Standards, Python
array API standard, 2024]; those of NumPy go their own, faster way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device, is_array_api_obj, is_numpy_array

__all__ = ["NUMBERS", "computed", "foreign", "largest", "namespace", "operands", "same_format"]

Array = Any  # of whatever library

NUMBERS = ("real floating", "complex floating", "integral")  # what products are taken of


def foreign(first: Any, second: Any = None, third: Any = None) -> bool:
    """Whether one may be an array of another library than NumPy: what every call asks before anything else.

    >>> foreign(np.ones(2), np.ones(2)), foreign([1.0, 2.0])
    (False, True)
    """
    plain = type(first) is np.ndarray and (second is None or type(second) is np.ndarray)
    return not (plain and (third is None or type(third) is np.ndarray))


def namespace(**operands: Any) -> Any:
    """The namespace of the library that all operands are arrays of; None where NumPy takes care of them.

    Raises TypeError where an array of another library than NumPy stands beside one that is not of its kind, or that
    lies on another device.

    >>> namespace(input=[1, 2], weight=None) is None
    True
    """
    given = {name: value for name, value in operands.items() if value is not None}
    if not any(is_array_api_obj(value) and not is_numpy_array(value) for value in given.values()):
        return None
    kinds = {name: _kind(value) for name, value in given.items()}
    if len(set(kinds.values())) > 1:
        said = " and ".join(f"`{name}` is a {kind}" for name, kind in kinds.items())
        raise TypeError(f"{said}, but all must be arrays of one library: convert them to one")
    places = {name: str(place) for name, value in given.items() if (place := device(value)) is not None}
    if len(set(places.values())) > 1:
        said = " and ".join(f"`{name}` lies on {place}" for name, place in places.items())
        raise TypeError(f"{said}, but all must lie on one device: move them to one")
    return array_namespace(*given.values())


def _kind(value: Any) -> str:
    """The library of an array, or what else it is."""
    if not is_array_api_obj(value):
        return type(value).__name__
    library = array_namespace(value).__name__.removeprefix("array_api_compat.").partition(".")[0]
    return f"{library} array"


def same_format(xp: Any, kinds: tuple[str, ...], **arrays: Array) -> Any:
    """The dtype of all arrays. Raises TypeError where it is of none of the standard's kinds, or two differ."""
    first, *others = arrays
    dtype = arrays[first].dtype
    for name in others:
        if arrays[name].dtype != dtype:
            raise TypeError(
                f"`{name}` is of dtype {arrays[name].dtype} and `{first}` of {dtype}, but both must be of the same: "
                "convert one with astype"
            )
    if not xp.isdtype(dtype, kinds) or not _held(xp, dtype):
        raise TypeError(f"`{first}` is of dtype {dtype}, but must be of a {' or '.join(kinds)} one of 8 to 64 bits")
    return dtype


def _held(xp: Any, dtype: Any) -> bool:
    """Whether sums of the dtype can be held: floating formats of 16 bits and more, integers that the widest holds."""
    if xp.isdtype(dtype, "integral"):
        return bool(xp.iinfo(dtype).max <= xp.iinfo(_integer(xp)).max)
    return bool(xp.isdtype(dtype, "complex floating") or xp.finfo(dtype).bits >= 16)


def _integer(xp: Any) -> Any:
    """The format of integer results: 64 bits wide, but in JAX as it comes."""
    return xp.__array_namespace_info__().default_dtypes()["integral"]


def computed(xp: Any, dtype: Any) -> Any:
    """The dtype of products and sums: float32 for narrower floats, int64 for integers, otherwise the same."""
    if xp.isdtype(dtype, "integral"):
        return _integer(xp)
    narrow = xp.isdtype(dtype, "real floating") and xp.finfo(dtype).bits < 32
    return xp.float32 if narrow else dtype


def operands(xp: Any, kinds: tuple[str, ...], **given: Array | None) -> tuple[dict[str, Array], Any]:
    """The arrays in the dtype they are computed in, and the dtype of the result."""
    arrays = {name: value for name, value in given.items() if value is not None}
    dtype = same_format(xp, kinds, **arrays)
    wide = computed(xp, dtype)
    result = wide if xp.isdtype(dtype, "integral") else dtype
    return {name: xp.astype(a, wide, copy=False) for name, a in arrays.items()}, result


def largest(xp: Any, array: Array | None) -> int:
    """The largest magnitude among integers."""
    if array is None or 0 in array.shape:
        return 0
    return max(abs(int(xp.min(array))), abs(int(xp.max(array))))
