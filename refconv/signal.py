"""True convolution and correlation of two arrays of any number of axes, as scipy.signal defines them."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv.algorithms.signal import CONVOLVE, Way
from refconv.dtypes import FORMATS
from refconv.spec import Sizes, full_output_size

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
    if array.size == 0:
        raise ValueError(f"`{name}` has shape {array.shape}, but must hold at least one element")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _operands(in1: Any, in2: Any) -> tuple[Array, Array]:
    a, b = _numbers(in1, "in1"), _numbers(in2, "in2")
    if a.dtype != b.dtype:
        raise TypeError(
            f"`in1` has dtype {a.dtype} and `in2` {b.dtype}, but both must be the same: convert one of them"
        )
    return a, b


def _way(method: str, integers: bool) -> Way:
    if method != "auto" and method not in CONVOLVE:
        raise ValueError(f"`method` is {method!r}, but must be one of {', '.join(sorted(['auto', *CONVOLVE]))}")
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


def _computed_in(a: Array, b: Array) -> np.dtype[Any]:
    """The format of products and sums: float32 for narrower floats, int64 for integers if nothing can overflow."""
    if a.dtype.kind in "iu":
        terms = prod(min(n, m) for n, m in zip(a.shape, b.shape, strict=True))
        largest = max(_largest(a) * _largest(b) * terms, _largest(a), _largest(b))
        if largest >= 2**63:
            raise OverflowError(
                f"`in1` and `in2` hold integers up to {_largest(a)} and {_largest(b)}, but {terms} products of theirs "
                "must add up below 2**63: convert both to float64"
            )
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
    a, b = _operands(in1, in2)
    mirrored = np.flip(b)
    return _convolve(a, mirrored.conj() if b.dtype.kind == "c" else mirrored, mode, method)
