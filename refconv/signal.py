"""True convolution and correlation of two arrays of any number of axes, as scipy.signal defines them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv import namespaces, portable
from refconv.algorithms.signal import CONVOLVE, Way
from refconv.dtypes import FORMATS
from refconv.namespaces import foreign, largest, namespace
from refconv.spec import ConvSpec, Sizes, full_output_size

__all__ = ["convolve", "correlate"]

Array = NDArray[Any]

_INEXACT = ("complex128", "complex64", *(f.storage for f in FORMATS.values() if f.storage))
_NARROW = ("float16", "bfloat16")


def _numbers(value: Any, name: str) -> Array:
    array = np.asarray(value)
    if array.dtype.name not in _INEXACT and array.dtype.kind not in "iu":
        raise TypeError(
            f"`{name}` has dtype {array.dtype}, but must have {', '.join(sorted(_INEXACT))} or an integer format: "
            "convert it with `.astype`"
        )
    _check_size(array, name)
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _check_size(array: Any, name: str) -> None:
    if 0 in array.shape:
        raise ValueError(f"`{name}` has shape {array.shape}, but must hold at least one element")


def _operands(in1: Any, in2: Any) -> tuple[Array, Array]:
    a, b = _numbers(in1, "in1"), _numbers(in2, "in2")
    if a.dtype != b.dtype:
        raise TypeError(
            f"`in1` has dtype {a.dtype} and `in2` {b.dtype}, but both must be the same: convert one of them"
        )
    return a, b


def _way(method: str, integers: bool) -> Way:
    if method != "auto" and method not in CONVOLVE:
        raise ValueError(_refused(method, CONVOLVE))
    way = CONVOLVE["direct" if method == "auto" else method]
    if integers and way.claim == "fft":
        exact = ", ".join(sorted(name for name, row in CONVOLVE.items() if row.claim == "direct"))
        raise NotImplementedError(
            f"`method` is {method!r}, but a transform rounds and integers must stay exact: use one of {exact}, "
            "or convert both operands to float64"
        )
    return way


def _largest(array: Array) -> int:
    return max(abs(int(array.min())), abs(int(array.max())))


def _refuse_overflow(each: tuple[int, int], terms: int, reach: int, bits: int) -> None:
    if reach >= 2**bits:
        raise OverflowError(
            f"`in1` and `in2` hold integers up to {each[0]} and {each[1]}, but {terms} products of theirs "
            f"must add up below 2**{bits}: convert both to float64"
        )


def _computed_in(a: Array, b: Array) -> np.dtype[Any]:
    """The format of products and sums: float32 for narrower floats, int64 for integers if nothing can overflow."""
    if a.dtype.kind in "iu":
        terms = prod(min(n, m) for n, m in zip(a.shape, b.shape, strict=True))
        reach = max(_largest(a) * _largest(b) * terms, _largest(a), _largest(b))
        _refuse_overflow((_largest(a), _largest(b)), terms, reach, 63)
        return np.dtype(np.int64)
    return np.dtype(np.float32) if a.dtype.name in _NARROW else a.dtype


def _start(size1: Sizes, size2: Sizes, mode: str) -> Sizes:
    """Where the wanted part of the full convolution begins: `same` in the centre, `valid` where both fully overlap."""
    if mode == "full":
        return (0,) * len(size1)
    if mode == "same":
        return tuple((m - 1) // 2 for m in size2)
    return tuple(min(n, m) - 1 for n, m in zip(size1, size2, strict=True))


def _convolve(a: Array, b: Array, mode: str, method: str) -> Array:
    size = full_output_size(a.shape, b.shape, mode)
    way = _way(method, integers=a.dtype.kind in "iu")
    wide = _computed_in(a, b)
    a_wide, b_wide = a.astype(wide, copy=False), b.astype(wide, copy=False)
    start = _start(a.shape, b.shape, mode)
    with np.errstate(all="ignore"):  # infinities and NaN are data here
        if a.ndim == 0:
            return np.array(a_wide * b_wide, dtype=wide if wide.kind == "i" else a.dtype)
        result = way.function(a_wide, b_wide, start, size)
        return result.astype(a.dtype, copy=False) if a.dtype.name in _NARROW else result


def _refused(method: str, ways: Mapping[str, Any]) -> str:
    return f"`method` is {method!r}, but must be one of {', '.join(sorted(['auto', *ways]))}"


def _way_on(method: str, integers: bool) -> portable.Portable:
    ways = portable.SIGNAL
    if method != "auto" and method not in ways:
        raise ValueError(f"{_refused(method, ways)} for other arrays than NumPy's")
    if integers and method == "fft":
        _way(method, integers)  # which says why not
    return ways["direct" if method == "auto" else method]


def convolve_on(xp: Any, in1: Any, in2: Any, mode: str, method: str, correlated: bool) -> Any:
    """Likewise for arrays of any library: a convolution of one image of one channel with a flipped kernel."""
    for name, array in (("in1", in1), ("in2", in2)):
        _check_size(array, name)
    operands, dtype = namespaces.operands(xp, namespaces.NUMBERS, in1=in1, in2=in2)
    a, b = operands.values()
    size, start = full_output_size(a.shape, b.shape, mode), _start(a.shape, b.shape, mode)
    integers = xp.isdtype(a.dtype, "integral")
    way = _way_on(method, integers)
    if integers:
        terms = prod(map(min, a.shape, b.shape))
        reach = max(largest(xp, a) * largest(xp, b) * terms, largest(xp, a), largest(xp, b))
        _refuse_overflow((largest(xp, a), largest(xp, b)), terms, reach, xp.iinfo(a.dtype).bits - 1)
    flipped = b if correlated else xp.flip(b)
    if correlated and xp.isdtype(b.dtype, "complex floating"):
        flipped = xp.conj(b)
    if a.ndim == 0:
        return xp.astype(a * flipped, dtype, copy=False)
    if prod(b.shape) > prod(a.shape):  # the smaller one is the kernel
        a, flipped = flipped, a
        a, flipped = xp.flip(a), xp.flip(flipped)
    sizes = zip(a.shape, flipped.shape, start, size, strict=True)
    padding = tuple((m - 1 - first, out + first - n) for n, m, first, out in sizes)
    ones = (1,) * a.ndim
    y = way.conv(xp, a[None, None, ...], flipped[None, None, ...], ConvSpec(ones, padding, ones))
    return xp.astype(y[0, 0, ...], dtype, copy=False)


def convolve(in1: Any, in2: Any, mode: str = "full", *, method: str = "auto") -> Array:
    """The true convolution, which flips and commutes.

    h[k] = sum over t of f[t] g[k - t] on every axis [Oppenheim, Schafer 2010, sec. 2.3]; the cross-correlation of
    machine learning is this with one operand flipped on every axis.

    Parameters
    ----------
    in1, in2 : array_like
        The same number of axes and the same format; integer, floating or complex, of any memory layout.
    mode : {"full", "same", "valid"}
        "full": every shift with any overlap, n + m - 1 elements on each axis; "same": its centre, of the size of
        `in1`; "valid": shifts where one operand lies within the other, max(n, m) - min(n, m) + 1.
    method : str
        "auto" (always a direct sum) or one of direct, fft, overlap_add, toeplitz. The error of the two by transforms
        is relative to the largest output, not to each.

    Returns
    -------
    array
        In the format of the operands and memory of its own; int64 for integers. float16 and bfloat16 are summed in
        float32 and rounded once.

    Raises
    ------
    TypeError
        When a format is not supported (bool, for instance), or the two differ.
    ValueError
        When an operand is empty, the numbers of axes differ, `mode` or `method` is unknown, or `mode` is "valid" and
        neither operand is at least as large as the other on every axis.
    OverflowError
        When sums of integers could reach 2**63.
    NotImplementedError
        When integers meet a method that rounds.

    Examples
    --------
    >>> convolve([1, 2, 3], [0, 1, 10])
    array([ 0,  1, 12, 23, 30])
    >>> convolve([1, 2, 3], [0, 1, 10], "same")
    array([ 1, 12, 23])
    """
    if foreign(in1, in2) and (xp := namespace(in1=in1, in2=in2)) is not None:
        found: Array = convolve_on(xp, in1, in2, mode, method, correlated=False)
        return found
    a, b = _operands(in1, in2)
    return _convolve(a, b, mode, method)


def correlate(in1: Any, in2: Any, mode: str = "full", *, method: str = "auto") -> Array:
    """The cross-correlation: the second operand slides without a flip, conjugated.

    h[k] = sum over t of f[t] conj(g[t - k + m - 1]) on every axis, m being the size of g [Oppenheim, Schafer 2010;
    scipy.signal.correlate]. Swapping the operands mirrors (and conjugates) the result: it does not commute.

    Parameters
    ----------
    in1, in2 : array_like
        The same number of axes and the same format; integer, floating or complex, of any memory layout.
    mode : {"full", "same", "valid"}
        As in `convolve`. "valid" with the larger operand second is the mirrored correlation of the swapped operands.
    method : str
        As in `convolve`.

    Returns
    -------
    array
        As in `convolve`.

    Raises
    ------
    TypeError, ValueError, OverflowError, NotImplementedError
        As in `convolve`.

    Examples
    --------
    >>> correlate([1, 2, 3], [0, 1, 10], "valid")
    array([32])
    >>> correlate([[3, 2, 0, 1], [0, 2, 1, 2], [2, 0, 0, 3], [2, 3, 1, 2]], [[2, 1, 2], [0, 0, 3], [0, 0, 2]], "valid")
    array([[11, 18],
           [ 6, 22]])
    """
    if foreign(in1, in2) and (xp := namespace(in1=in1, in2=in2)) is not None:
        found: Array = convolve_on(xp, in1, in2, mode, method, correlated=True)
        return found
    a, b = _operands(in1, in2)
    mirrored = np.flip(b)
    return _convolve(a, mirrored.conj() if b.dtype.kind == "c" else mirrored, mode, method)
