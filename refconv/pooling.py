"""Max and average pooling and their gradients, as PyTorch's functional interface computes them.

Arrays are (N, C, *input_size), or (C, *input_size) for a single image. The window never leaves the padded input except
in ceil mode; padding holds minus infinity for a maximum, zero for an average.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv import portable
from refconv.algorithms.pooling import AVG_POOL, AVG_POOL_BACKWARD, MAX_POOL, MAX_POOL_BACKWARD, Way
from refconv.dtypes import FORMATS, numpy_dtype
from refconv.namespaces import foreign, largest, namespace, same_format
from refconv.spec import PoolSpec, pool_spec

__all__ = [
    "avg_pool1d",
    "avg_pool1d_backward",
    "avg_pool2d",
    "avg_pool2d_backward",
    "avg_pool3d",
    "avg_pool3d_backward",
    "global_avg_pool",
    "max_pool1d",
    "max_pool1d_backward",
    "max_pool2d",
    "max_pool2d_backward",
    "max_pool3d",
    "max_pool3d_backward",
    "upsample",
]

Array = NDArray[Any]

_FLOATS = {f.storage: numpy_dtype(f.storage) for f in FORMATS.values() if f.storage}
_NATIVE = frozenset(_FLOATS.values())
_PLAIN = frozenset((int, bool, type(None)))

_remembered = lru_cache(typed=True)(pool_spec)
_output_size = lru_cache(PoolSpec.output_size)


def _spec(rank: int, *arguments: Any) -> PoolSpec:
    """`pool_spec`, looked up where all arguments are plain, so that none is taken for another that equals it."""
    return (_remembered if _PLAIN.issuperset(map(type, arguments)) else pool_spec)(rank, *arguments)


def _numbers(value: Any, name: str, integers: bool) -> Array:
    """A real array in native byte order; anything else is refused."""
    array = np.asarray(value)
    if array.dtype in _NATIVE:
        return array
    if array.dtype.name not in _FLOATS and not (integers and array.dtype.kind in "iu"):
        wanted = ", ".join(sorted(_FLOATS)) + (" or an integer format" if integers else "")
        mend = "" if integers else "; an average of integers is no integer: convert with `.astype(np.float64)` first"
        raise TypeError(f"`{name}` has dtype {array.dtype}, but must have {wanted}{mend}")
    return array if array.dtype.isnative else array.astype(array.dtype.newbyteorder("="))


def _batched(array: Array, name: str, rank: int) -> Array:
    """(N, C, *input_size), a batch of one where the batch axis is left out."""
    if array.ndim not in (rank + 1, rank + 2):
        raise ValueError(
            f"`{name}` has shape {array.shape}, but must have {rank + 2} axes, (N, C, *input_size) with {rank} "
            f"spatial, or {rank + 1} without the batch"
        )
    return array if array.ndim == rank + 2 else array[None, ...]


def _check_sizes(x: Array, spec: PoolSpec) -> tuple[int, ...]:
    """Shape of the output; none of its sizes may be zero."""
    input_size = x.shape[2:]
    output_size = _output_size(spec, input_size)
    if 0 in output_size or 0 in input_size:
        raise ValueError(
            f"`kernel_size` is {spec.kernel_size} with dilation {spec.dilation}, but must fit into the input of size "
            f"{input_size} with padding {spec.padding}: the output would have size {output_size}"
        )
    return (*x.shape[:2], *output_size)


def _way(ways: dict[str, Way], method: str, automatic: str) -> Way:
    if method != "auto" and method not in ways:
        raise ValueError(f"`method` is {method!r}, but must be one of {', '.join(sorted(['auto', *ways]))}")
    return ways[automatic if method == "auto" else method]


def _fastest_max(spec: PoolSpec) -> str:
    """Doubling takes about log2(k) passes over the input, separable taps k over the output."""
    worth = any(k > s * (k.bit_length() + 2) for k, s in zip(spec.kernel_size, spec.stride, strict=True))
    return "doubling" if worth else "separable"


def _forward(ways: dict[str, Way], method: str, automatic: str, input: Array, spec: PoolSpec) -> Array:
    x = _batched(input, "input", spec.rank)
    _check_sizes(x, spec)
    with np.errstate(all="ignore"):  # infinities and NaN are data here
        result = _way(ways, method, automatic).function(x, spec)
    return result if x is input else result[0].copy()


def _backward(
    ways: dict[str, Way], method: str, automatic: str, grad_output: Array, input: Array, spec: PoolSpec
) -> Array:
    x = _batched(input, "input", spec.rank)
    expected = _check_sizes(x, spec)[x.ndim - input.ndim :]
    _check_gradient(grad_output, expected)
    if grad_output.dtype != input.dtype:
        raise TypeError(
            f"`grad_output` has dtype {grad_output.dtype}, but must be {input.dtype}, as `input`: convert one of them"
        )
    _refuse_overflow(grad_output, spec)
    with np.errstate(all="ignore"):
        result = _way(ways, method, automatic).function(_batched(grad_output, "grad_output", spec.rank), x, spec)
    return result if x is input else result[0].copy()


def _check_gradient(grad_output: Array, expected: tuple[int, ...]) -> None:
    if grad_output.shape != expected:
        raise ValueError(f"`grad_output` has shape {grad_output.shape}, but must be {expected}, the output's")


def _refuse_overflow(grad_output: Array, spec: PoolSpec) -> None:
    """Integer sums are exact or refused."""
    if grad_output.dtype.kind in "iu" and grad_output.size:
        reach = max(abs(int(grad_output.min())), abs(int(grad_output.max())))
        _check_sums(grad_output, reach, np.iinfo(grad_output.dtype).max, spec)


def _check_sums(grad_output: Array, reach: int, most: int, spec: PoolSpec) -> None:
    """An input cell lies in at most ceil(extent / stride) windows on each axis."""
    windows = prod(-(-e // s) for e, s in zip(spec.extent, spec.stride, strict=True))
    if reach * windows > most and windows > 1:
        raise OverflowError(
            f"`grad_output` holds {reach} in {grad_output.dtype}, but up to {windows} overlapping windows must "
            "add up within the format: convert both arrays to a wider one"
        )


def forward_on(
    xp: Any, ways: Mapping[str, portable.Forward], integers: bool, method: str, input: Any, spec: PoolSpec
) -> Any:
    """Likewise for arrays of any library, whose namespace comes first."""
    same_format(xp, _kinds(integers), input=input)
    x = _batched(input, "input", spec.rank)
    _check_sizes(x, spec)
    y = _way_on(ways, method)(xp, x, spec)
    return y if x is input else y[0, ...]


def backward_on(
    xp: Any,
    ways: Mapping[str, portable.Backward],
    integers: bool,
    method: str,
    grad_output: Any,
    input: Any,
    spec: PoolSpec,
) -> Any:
    same_format(xp, _kinds(integers), grad_output=grad_output, input=input)
    x = _batched(input, "input", spec.rank)
    _check_gradient(grad_output, _check_sizes(x, spec)[x.ndim - input.ndim :])
    if xp.isdtype(input.dtype, "integral"):
        _check_sums(grad_output, largest(xp, grad_output), int(xp.iinfo(input.dtype).max), spec)
    grad = _way_on(ways, method)(xp, _batched(grad_output, "grad_output", spec.rank), x, spec)
    return grad if x is input else grad[0, ...]


def _kinds(integers: bool) -> tuple[str, ...]:
    return ("real floating", "integral") if integers else ("real floating",)


def _way_on(ways: Mapping[str, Any], method: str) -> Any:
    (name,) = ways
    if method not in ("auto", name):
        raise ValueError(f"`method` is {method!r}, but must be auto or {name} for other arrays than NumPy's")
    return ways[name]


def _max_pool(
    rank: int, input: Any, kernel_size: Any, stride: Any, padding: Any, dilation: Any, ceil_mode: bool, method: str
) -> Array:
    spec = _spec(rank, kernel_size, stride, padding, dilation, ceil_mode)
    if foreign(input) and (xp := namespace(input=input)) is not None:
        found: Array = forward_on(xp, portable.MAX_POOL, True, method, input, spec)
        return found
    return _forward(MAX_POOL, method, _fastest_max(spec), _numbers(input, "input", integers=True), spec)


def _avg_pool(
    rank: int, input: Any, kernel_size: Any, stride: Any, padding: Any, ceil_mode: bool, include: bool, method: str
) -> Array:
    spec = _spec(rank, kernel_size, stride, padding, 1, ceil_mode, include)
    if foreign(input) and (xp := namespace(input=input)) is not None:
        found: Array = forward_on(xp, portable.AVG_POOL, False, method, input, spec)
        return found
    return _forward(AVG_POOL, method, "separable", _numbers(input, "input", integers=False), spec)


def _max_pool_backward(
    rank: int,
    grad_output: Any,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    ceil_mode: bool,
    method: str,
) -> Array:
    spec = _spec(rank, kernel_size, stride, padding, dilation, ceil_mode)
    if foreign(input, grad_output) and (xp := namespace(input=input, grad_output=grad_output)) is not None:
        found: Array = backward_on(xp, portable.MAX_POOL_BACKWARD, True, method, grad_output, input, spec)
        return found
    g, x = _numbers(grad_output, "grad_output", integers=True), _numbers(input, "input", integers=True)
    return _backward(MAX_POOL_BACKWARD, method, "argmax", g, x, spec)


def _avg_pool_backward(
    rank: int,
    grad_output: Any,
    input: Any,
    kernel_size: Any,
    stride: Any,
    padding: Any,
    ceil_mode: bool,
    include: bool,
    method: str,
) -> Array:
    spec = _spec(rank, kernel_size, stride, padding, 1, ceil_mode, include)
    if foreign(input, grad_output) and (xp := namespace(input=input, grad_output=grad_output)) is not None:
        found: Array = backward_on(xp, portable.AVG_POOL_BACKWARD, False, method, grad_output, input, spec)
        return found
    g, x = _numbers(grad_output, "grad_output", integers=False), _numbers(input, "input", integers=False)
    return _backward(AVG_POOL_BACKWARD, method, "spread", g, x, spec)


def max_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    method: str = "auto",
) -> Array:
    """Largest element of every window, over one spatial axis.

    y[o] = max over t of x[o s - p + t d], exact in the operands' own format; NaN in a window gives NaN, a window of
    padding alone minus infinity (or the lowest integer). The printed definition has s = 1 in the index; windows that
    do not overlap need s = k [Boureau, Ponce, LeCun 2010].

    Parameters
    ----------
    input : array_like, shape (N, C, L) or (C, L)
        Floating or integer numbers, any memory layout; never written.
    kernel_size : int or tuple of one
        Window, in elements.
    stride : int or tuple of one, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of one, or one pair (before, after)
        Cells of minus infinity around the input, in elements; at most half of `kernel_size`.
    dilation : int or tuple of one
        Distance between neighbouring cells of the window, in elements.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    method : str
        "auto" or one of doubling, separable, sorting, windows.

    Returns
    -------
    array, shape (N, C, P) or (C, P)
        In the format of `input` and memory of its own.

    Raises
    ------
    TypeError
        When `input` is not of a supported format.
    ValueError
        When an argument is out of range, `method` is unknown, or the output would be empty.

    Examples
    --------
    >>> max_pool1d([[1.0, 3.0, 2.0, 0.0]], 2)
    array([[3., 2.]])
    """
    return _max_pool(1, input, kernel_size, stride, padding, dilation, ceil_mode, method)


def max_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    method: str = "auto",
) -> Array:
    """Largest element of every window, over two spatial axes.

    y[o] = max over t of x[o s - p + t d], exact in the operands' own format; NaN in a window gives NaN, a window of
    padding alone minus infinity (or the lowest integer). The printed definition has s = 1 in the index; windows that
    do not overlap need s = k [Boureau, Ponce, LeCun 2010].

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        Floating or integer numbers, any memory layout; never written.
    kernel_size : int or tuple of 2
        Window, in elements.
    stride : int or tuple of 2, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of 2, or 2 pairs (before, after)
        Cells of minus infinity around the input, in elements; at most half of `kernel_size`.
    dilation : int or tuple of 2
        Distance between neighbouring cells of the window, in elements.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    method : str
        "auto" or one of doubling, separable, sorting, windows.

    Returns
    -------
    array, shape (N, C, P, Q) or (C, P, Q)
        In the format of `input` and memory of its own.

    Raises
    ------
    TypeError
        When `input` is not of a supported format.
    ValueError
        When an argument is out of range, `method` is unknown, or the output would be empty.

    Examples
    --------
    >>> max_pool2d([[[1.0, 3.0, 2.0, 0.0]]], (1, 2))
    array([[[3., 2.]]])
    """
    return _max_pool(2, input, kernel_size, stride, padding, dilation, ceil_mode, method)


def max_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    method: str = "auto",
) -> Array:
    """Largest element of every window, over three spatial axes.

    y[o] = max over t of x[o s - p + t d], exact in the operands' own format; NaN in a window gives NaN, a window of
    padding alone minus infinity (or the lowest integer). The printed definition has s = 1 in the index; windows that
    do not overlap need s = k [Boureau, Ponce, LeCun 2010].

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        Floating or integer numbers, any memory layout; never written.
    kernel_size : int or tuple of 3
        Window, in elements.
    stride : int or tuple of 3, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of 3, or 3 pairs (before, after)
        Cells of minus infinity around the input, in elements; at most half of `kernel_size`.
    dilation : int or tuple of 3
        Distance between neighbouring cells of the window, in elements.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    method : str
        "auto" or one of doubling, separable, sorting, windows.

    Returns
    -------
    array, shape (N, C, O, P, Q) or (C, O, P, Q)
        In the format of `input` and memory of its own.

    Raises
    ------
    TypeError
        When `input` is not of a supported format.
    ValueError
        When an argument is out of range, `method` is unknown, or the output would be empty.

    Examples
    --------
    >>> max_pool3d([[[[1.0, 3.0, 2.0, 0.0]]]], (1, 1, 2))
    array([[[[3., 2.]]]])
    """
    return _max_pool(3, input, kernel_size, stride, padding, dilation, ceil_mode, method)


def avg_pool1d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    method: str = "auto",
) -> Array:
    """Average of every window, over one spatial axis.

    y[o] = (sum over t of x[o s - p + t]) / count [LeCun et al. 1998]; float16 and bfloat16 are summed in
    float32 and rounded once. PyTorch's limit on the padding leaves no window without a cell that counts.

    Parameters
    ----------
    input : array_like, shape (N, C, L) or (C, L)
        Floating numbers, any memory layout; never written.
    kernel_size : int or tuple of one
        Window, in elements.
    stride : int or tuple of one, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of one, or one pair (before, after)
        Cells of zero around the input, in elements; at most half of `kernel_size`.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    count_include_pad : bool
        Whether cells of the padding count; cells that ceil mode adds beyond the padding never do.
    method : str
        "auto" or one of convolution, separable, windows.

    Returns
    -------
    array, shape (N, C, P) or (C, P)
        In the format of `input` and memory of its own.

    Raises
    ------
    TypeError
        When `input` is not of a supported format.
    ValueError
        When an argument is out of range, `method` is unknown, or the output would be empty.

    Examples
    --------
    >>> avg_pool1d([[1.0, 3.0, 2.0, 0.0]], 2)
    array([[2., 1.]])
    """
    return _avg_pool(1, input, kernel_size, stride, padding, ceil_mode, count_include_pad, method)


def avg_pool2d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    method: str = "auto",
) -> Array:
    """Average of every window, over two spatial axes.

    y[o] = (sum over t of x[o s - p + t]) / count [LeCun et al. 1998]; float16 and bfloat16 are summed in
    float32 and rounded once. PyTorch's limit on the padding leaves no window without a cell that counts.

    Parameters
    ----------
    input : array_like, shape (N, C, H, W) or (C, H, W)
        Floating numbers, any memory layout; never written.
    kernel_size : int or tuple of 2
        Window, in elements.
    stride : int or tuple of 2, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of 2, or 2 pairs (before, after)
        Cells of zero around the input, in elements; at most half of `kernel_size`.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    count_include_pad : bool
        Whether cells of the padding count; cells that ceil mode adds beyond the padding never do.
    method : str
        "auto" or one of convolution, separable, windows.

    Returns
    -------
    array, shape (N, C, P, Q) or (C, P, Q)
        In the format of `input` and memory of its own.

    Raises
    ------
    TypeError
        When `input` is not of a supported format.
    ValueError
        When an argument is out of range, `method` is unknown, or the output would be empty.

    Examples
    --------
    >>> avg_pool2d([[[1.0, 3.0, 2.0, 0.0]]], (1, 2))
    array([[[2., 1.]]])
    """
    return _avg_pool(2, input, kernel_size, stride, padding, ceil_mode, count_include_pad, method)


def avg_pool3d(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    method: str = "auto",
) -> Array:
    """Average of every window, over three spatial axes.

    y[o] = (sum over t of x[o s - p + t]) / count [LeCun et al. 1998]; float16 and bfloat16 are summed in
    float32 and rounded once. PyTorch's limit on the padding leaves no window without a cell that counts.

    Parameters
    ----------
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        Floating numbers, any memory layout; never written.
    kernel_size : int or tuple of 3
        Window, in elements.
    stride : int or tuple of 3, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of 3, or 3 pairs (before, after)
        Cells of zero around the input, in elements; at most half of `kernel_size`.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    count_include_pad : bool
        Whether cells of the padding count; cells that ceil mode adds beyond the padding never do.
    method : str
        "auto" or one of convolution, separable, windows.

    Returns
    -------
    array, shape (N, C, O, P, Q) or (C, O, P, Q)
        In the format of `input` and memory of its own.

    Raises
    ------
    TypeError
        When `input` is not of a supported format.
    ValueError
        When an argument is out of range, `method` is unknown, or the output would be empty.

    Examples
    --------
    >>> avg_pool3d([[[[1.0, 3.0, 2.0, 0.0]]]], (1, 1, 2))
    array([[[[2., 1.]]]])
    """
    return _avg_pool(3, input, kernel_size, stride, padding, ceil_mode, count_include_pad, method)


def max_pool1d_backward(
    grad_output: Any,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    method: str = "auto",
) -> Array:
    """Gradient of `max_pool1d` with respect to its input.

    dx[i] = sum of g[o] over the windows whose recorded maximum is at i [Boureau, Ponce, LeCun 2010]: the first of equal
    maxima in row-major order, the last of several NaN, the first cell where all are minus infinity.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, P) or (C, P)
        Gradient with respect to the output, in the format of `input`.
    input : array_like, shape (N, C, L) or (C, L)
        Floating or integer numbers, any memory layout; never written.
    kernel_size : int or tuple of one
        Window, in elements.
    stride : int or tuple of one, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of one, or one pair (before, after)
        Cells of minus infinity around the input, in elements; at most half of `kernel_size`.
    dilation : int or tuple of one
        Distance between neighbouring cells of the window, in elements.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    method : str
        "auto" or one of argmax, taps.

    Returns
    -------
    array, shape of `input`
        In memory of its own.

    Raises
    ------
    TypeError
        When an array is not of a supported format, or the two differ.
    ValueError
        When an argument is out of range, a shape does not match, `method` is unknown, or the output would be empty.
    OverflowError
        When sums of integers could leave their format.

    Examples
    --------
    >>> max_pool1d_backward([[1.0, 4.0]], [[1.0, 3.0, 2.0, 0.0]], 2)
    array([[0., 1., 4., 0.]])
    """
    return _max_pool_backward(1, grad_output, input, kernel_size, stride, padding, dilation, ceil_mode, method)


def max_pool2d_backward(
    grad_output: Any,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    method: str = "auto",
) -> Array:
    """Gradient of `max_pool2d` with respect to its input.

    dx[i] = sum of g[o] over the windows whose recorded maximum is at i [Boureau, Ponce, LeCun 2010]: the first of equal
    maxima in row-major order, the last of several NaN, the first cell where all are minus infinity.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, P, Q) or (C, P, Q)
        Gradient with respect to the output, in the format of `input`.
    input : array_like, shape (N, C, H, W) or (C, H, W)
        Floating or integer numbers, any memory layout; never written.
    kernel_size : int or tuple of 2
        Window, in elements.
    stride : int or tuple of 2, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of 2, or 2 pairs (before, after)
        Cells of minus infinity around the input, in elements; at most half of `kernel_size`.
    dilation : int or tuple of 2
        Distance between neighbouring cells of the window, in elements.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    method : str
        "auto" or one of argmax, taps.

    Returns
    -------
    array, shape of `input`
        In memory of its own.

    Raises
    ------
    TypeError
        When an array is not of a supported format, or the two differ.
    ValueError
        When an argument is out of range, a shape does not match, `method` is unknown, or the output would be empty.
    OverflowError
        When sums of integers could leave their format.

    Examples
    --------
    >>> max_pool2d_backward([[[1.0, 4.0]]], [[[1.0, 3.0, 2.0, 0.0]]], (1, 2))
    array([[[0., 1., 4., 0.]]])
    """
    return _max_pool_backward(2, grad_output, input, kernel_size, stride, padding, dilation, ceil_mode, method)


def max_pool3d_backward(
    grad_output: Any,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    *,
    method: str = "auto",
) -> Array:
    """Gradient of `max_pool3d` with respect to its input.

    dx[i] = sum of g[o] over the windows whose recorded maximum is at i [Boureau, Ponce, LeCun 2010]: the first of equal
    maxima in row-major order, the last of several NaN, the first cell where all are minus infinity.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, O, P, Q) or (C, O, P, Q)
        Gradient with respect to the output, in the format of `input`.
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        Floating or integer numbers, any memory layout; never written.
    kernel_size : int or tuple of 3
        Window, in elements.
    stride : int or tuple of 3, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of 3, or 3 pairs (before, after)
        Cells of minus infinity around the input, in elements; at most half of `kernel_size`.
    dilation : int or tuple of 3
        Distance between neighbouring cells of the window, in elements.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    method : str
        "auto" or one of argmax, taps.

    Returns
    -------
    array, shape of `input`
        In memory of its own.

    Raises
    ------
    TypeError
        When an array is not of a supported format, or the two differ.
    ValueError
        When an argument is out of range, a shape does not match, `method` is unknown, or the output would be empty.
    OverflowError
        When sums of integers could leave their format.

    Examples
    --------
    >>> max_pool3d_backward([[[[1.0, 4.0]]]], [[[[1.0, 3.0, 2.0, 0.0]]]], (1, 1, 2))
    array([[[[0., 1., 4., 0.]]]])
    """
    return _max_pool_backward(3, grad_output, input, kernel_size, stride, padding, dilation, ceil_mode, method)


def avg_pool1d_backward(
    grad_output: Any,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    method: str = "auto",
) -> Array:
    """Gradient of `avg_pool1d` with respect to its input.

    dx[i] = sum of g[o] / count[o] over the windows that contain i [LeCun et al. 1998]; only the shape and the
    format of `input` matter.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, P) or (C, P)
        Gradient with respect to the output, in the format of `input`.
    input : array_like, shape (N, C, L) or (C, L)
        Floating numbers, any memory layout; never written.
    kernel_size : int or tuple of one
        Window, in elements.
    stride : int or tuple of one, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of one, or one pair (before, after)
        Cells of zero around the input, in elements; at most half of `kernel_size`.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    count_include_pad : bool
        Whether cells of the padding count; cells that ceil mode adds beyond the padding never do.
    method : str
        "auto" or one of convolution, spread.

    Returns
    -------
    array, shape of `input`
        In memory of its own.

    Raises
    ------
    TypeError
        When an array is not of a supported format, or the two differ.
    ValueError
        When an argument is out of range, a shape does not match, `method` is unknown, or the output would be empty.

    Examples
    --------
    >>> avg_pool1d_backward([[1.0, 4.0]], [[1.0, 3.0, 2.0, 0.0]], 2)
    array([[0.5, 0.5, 2. , 2. ]])
    """
    return _avg_pool_backward(1, grad_output, input, kernel_size, stride, padding, ceil_mode, count_include_pad, method)


def avg_pool2d_backward(
    grad_output: Any,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    method: str = "auto",
) -> Array:
    """Gradient of `avg_pool2d` with respect to its input.

    dx[i] = sum of g[o] / count[o] over the windows that contain i [LeCun et al. 1998]; only the shape and the
    format of `input` matter.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, P, Q) or (C, P, Q)
        Gradient with respect to the output, in the format of `input`.
    input : array_like, shape (N, C, H, W) or (C, H, W)
        Floating numbers, any memory layout; never written.
    kernel_size : int or tuple of 2
        Window, in elements.
    stride : int or tuple of 2, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of 2, or 2 pairs (before, after)
        Cells of zero around the input, in elements; at most half of `kernel_size`.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    count_include_pad : bool
        Whether cells of the padding count; cells that ceil mode adds beyond the padding never do.
    method : str
        "auto" or one of convolution, spread.

    Returns
    -------
    array, shape of `input`
        In memory of its own.

    Raises
    ------
    TypeError
        When an array is not of a supported format, or the two differ.
    ValueError
        When an argument is out of range, a shape does not match, `method` is unknown, or the output would be empty.

    Examples
    --------
    >>> avg_pool2d_backward([[[1.0, 4.0]]], [[[1.0, 3.0, 2.0, 0.0]]], (1, 2))
    array([[[0.5, 0.5, 2. , 2. ]]])
    """
    return _avg_pool_backward(2, grad_output, input, kernel_size, stride, padding, ceil_mode, count_include_pad, method)


def avg_pool3d_backward(
    grad_output: Any,
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    *,
    method: str = "auto",
) -> Array:
    """Gradient of `avg_pool3d` with respect to its input.

    dx[i] = sum of g[o] / count[o] over the windows that contain i [LeCun et al. 1998]; only the shape and the
    format of `input` matter.

    Parameters
    ----------
    grad_output : array_like, shape (N, C, O, P, Q) or (C, O, P, Q)
        Gradient with respect to the output, in the format of `input`.
    input : array_like, shape (N, C, D, H, W) or (C, D, H, W)
        Floating numbers, any memory layout; never written.
    kernel_size : int or tuple of 3
        Window, in elements.
    stride : int or tuple of 3, optional
        Step between windows, in elements; `kernel_size` where left out.
    padding : int, tuple of 3, or 3 pairs (before, after)
        Cells of zero around the input, in elements; at most half of `kernel_size`.
    ceil_mode : bool
        Round the number of windows up; a window must still start inside the input or its leading padding.
    count_include_pad : bool
        Whether cells of the padding count; cells that ceil mode adds beyond the padding never do.
    method : str
        "auto" or one of convolution, spread.

    Returns
    -------
    array, shape of `input`
        In memory of its own.

    Raises
    ------
    TypeError
        When an array is not of a supported format, or the two differ.
    ValueError
        When an argument is out of range, a shape does not match, `method` is unknown, or the output would be empty.

    Examples
    --------
    >>> avg_pool3d_backward([[[[1.0, 4.0]]]], [[[[1.0, 3.0, 2.0, 0.0]]]], (1, 1, 2))
    array([[[[0.5, 0.5, 2. , 2. ]]]])
    """
    return _avg_pool_backward(3, grad_output, input, kernel_size, stride, padding, ceil_mode, count_include_pad, method)


def global_avg_pool(input: Any) -> Array:
    """Average of every channel of every image, over however many spatial axes there are.

    y[n, c] = (sum of x[n, c]) / (number of cells), the head of NiN, GoogLeNet and ResNet [Lin, Chen, Yan 2014].

    Parameters
    ----------
    input : array_like, shape (N, C, *input_size)
        Floating numbers, at least one spatial axis.

    Returns
    -------
    array, shape (N, C)
        In the format of `input`; float16 and bfloat16 are summed in float32.

    Raises
    ------
    TypeError
        When `input` is not floating.
    ValueError
        When there is no spatial axis, or one of size zero.

    Examples
    --------
    >>> global_avg_pool([[[[1.0, 2.0], [3.0, 6.0]]]])
    array([[3.]])
    """
    x = _numbers(input, "input", integers=False)
    cells = prod(x.shape[2:])
    if x.ndim < 3 or cells == 0:
        raise ValueError(f"`input` has shape {x.shape}, but must be (N, C, *input_size) with sizes of at least 1")
    wide = np.float32 if x.dtype.itemsize < 4 else x.dtype
    with np.errstate(all="ignore"):
        total = x.astype(wide, copy=False).reshape(*x.shape[:2], cells).sum(axis=2)
        return np.asarray((total / total.dtype.type(cells)).astype(x.dtype, copy=False))


def upsample(input: Any, scale_factor: Any) -> Array:
    """Every element repeated into a block: the adjoint of sums over windows that do not overlap.

    y[i] = x[floor(i / f)], the up_sample of the pooling gradient [LeCun et al. 1998]: divided by the number of
    cells of a block it is the gradient of average pooling.

    Parameters
    ----------
    input : array_like, shape (N, C, *input_size)
        Floating or integer numbers, at least one spatial axis.
    scale_factor : int or tuple
        Repetitions along each spatial axis, at least 1.

    Returns
    -------
    array, shape (N, C, *(size * factor))
        In the format of `input` and memory of its own.

    Raises
    ------
    TypeError
        When `input` is not of a supported format, or `scale_factor` not of integers.
    ValueError
        When there is no spatial axis, or `scale_factor` has not one entry for each, or is below 1.

    Examples
    --------
    >>> upsample([[[1, 2]]], 2)
    array([[[1, 1, 2, 2]]])
    """
    x = _numbers(input, "input", integers=True)
    if x.ndim < 3:
        raise ValueError(f"`input` has shape {x.shape}, but must be (N, C, *input_size) with at least one spatial axis")
    try:
        factors = pool_spec(x.ndim - 2, scale_factor).kernel_size
    except (TypeError, ValueError) as error:
        raise type(error)(str(error).replace("kernel_size", "scale_factor")) from None
    result = x.copy()
    for axis, factor in enumerate(factors, start=2):
        result = np.repeat(result, factor, axis=axis)
    return result
