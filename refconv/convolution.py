"""Convolution as a user calls it: arguments checked once, one algorithm chosen, one rounding at the end.

Everything is cross-correlation: the kernel is not flipped. float16 and bfloat16 are computed in float32 and rounded
once, after the bias; integers are computed in int64, exactly, or refused. Arrays of other libraries than NumPy go the
same way by `refconv.portable`: functions whose name ends in `_on` take the namespace first.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refconv import parts, portable
from refconv.algorithms import ALGORITHMS, Algorithm, algorithm, choose
from refconv.cost import fastest
from refconv.namespaces import NUMBERS, foreign, largest, namespace, operands
from refconv.portable import Portable, taps
from refconv.spec import PADDING_MODES, ConvSpec, Pairs, Sizes, conv_spec, transposed_spec

__all__ = [
    "conv1d",
    "conv1d_backward",
    "conv2d",
    "conv2d_backward",
    "conv3d",
    "conv3d_backward",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]

Array = NDArray[Any]

# The dtype in which each is computed; every other is refused. Integers are returned in it, the rest as they came.
COMPUTED: Mapping[str, str] = {
    "bfloat16": "float32",
    "complex128": "complex128",
    "complex64": "complex64",
    "float16": "float32",
    "float32": "float32",
    "float64": "float64",
    "int16": "int64",
    "int32": "int64",
    "int64": "int64",
    "int8": "int64",
    "uint16": "int64",
    "uint32": "int64",
    "uint64": "int64",
    "uint8": "int64",
}


_name = functools.cache(lambda dtype: str(dtype.name))  # NumPy makes it up each time, in more time than a small product


def _operands(**given: ArrayLike | None) -> tuple[dict[str, Array], np.dtype[Any]]:
    """The arrays in the dtype they are computed in, and the dtype of the result."""
    arrays = {name: np.asarray(value) for name, value in given.items() if value is not None}
    first = next(iter(arrays))
    dtype = arrays[first].dtype
    for name, array in arrays.items():
        if _name(array.dtype) not in COMPUTED:
            raise TypeError(f"`{name}` is of dtype {array.dtype}, but must be one of {', '.join(sorted(COMPUTED))}")
    for name, array in arrays.items():
        if _name(array.dtype) != _name(dtype):
            raise TypeError(
                f"`{name}` is of dtype {array.dtype} and `{first}` of {dtype}, but both must be of the same: "
                "convert one with astype"
            )
    computed = np.dtype(COMPUTED[_name(dtype)])
    if computed == dtype and dtype.isnative:
        return arrays, dtype
    for name, array in arrays.items():
        if _name(dtype) == "uint64" and array.size and int(array.max()) >= 2**63:
            raise OverflowError(f"`{name}` holds {int(array.max())}, but must be below 2**63")
    return {name: array.astype(computed, copy=False) for name, array in arrays.items()}, (
        computed if computed.kind == "i" else dtype.newbyteorder("=")
    )


def _batched(name: str, x: Array, rank: int) -> tuple[Array, bool]:
    """x with a batch axis, and whether it had none."""
    if x.ndim not in (rank + 1, rank + 2):
        raise ValueError(
            f"`{name}` has shape {x.shape}, but must have {rank + 2} axes (batch, channels and {rank} spatial), "
            f"or {rank + 1} without the batch"
        )
    return (x[None, ...], True) if x.ndim == rank + 1 else (x, False)


def _check_axes(name: str, shape: Sizes, rank: int, first: str) -> None:
    if len(shape) != rank + 2:
        raise ValueError(
            f"`{name}` has shape {shape}, but must have {rank + 2} axes ({first}, channels and {rank} spatial)"
        )


def _check_weight(w: Sizes, rank: int) -> None:
    _check_axes("weight", w, rank, "out or in channels")
    if 0 in w[2:]:
        raise ValueError(f"`weight` has kernel size {w[2:]}, but must be at least 1 on every axis")


def _check_channels(x: Sizes, w: Sizes, groups: int) -> None:
    """A convolution's weight is (out_channels, in_channels / groups, ...)."""
    for name, channels in (("in_channels", x[1]), ("out_channels", w[0])):
        if channels % groups:
            raise ValueError(f"`groups` (={groups}) must divide `{name}` (={channels})")
    if w[1] * groups != x[1]:
        raise ValueError(
            f"`weight` has shape {w}, but its second axis must be in_channels / groups = "
            f"{x[1]} / {groups} = {x[1] // groups}"
        )


def _check_fit(input_size: Sizes, kernel_size: Sizes, spec: ConvSpec) -> None:
    sizes = tuple(n + before + after for n, (before, after) in zip(input_size, spec.padding, strict=True))
    extent = spec.extent(kernel_size)
    if any(e > n for e, n in zip(extent, sizes, strict=True)):
        raise ValueError(
            f"kernel of size {extent} (dilation counted) is larger than the padded input of size {sizes}: "
            "use more `padding`, less `dilation` or a smaller `weight`"
        )


def _plain(value: Any) -> bool:
    """Whether what equals it is the same argument: 1 equals True and 1.0, which are refused."""
    return type(value) is int or type(value) is str or (type(value) is tuple and all(map(_plain, value)))


def _geometry(
    rank: int, x: Sizes, w: Sizes, stride: Any, padding: Any, dilation: Any, groups: Any
) -> tuple[ConvSpec, Sizes]:
    """What a convolution of these shapes and arguments is, and the size of its output; raises where they do not fit."""
    find = _known if all(map(_plain, (stride, padding, dilation, groups))) else _checked
    return find(rank, x, w, stride, padding, dilation, groups)


def _checked(
    rank: int, x: Sizes, w: Sizes, stride: Any, padding: Any, dilation: Any, groups: Any
) -> tuple[ConvSpec, Sizes]:
    _check_weight(w, rank)
    spec = conv_spec(rank, w[2:], stride, padding, dilation, groups)
    _check_channels(x, w, spec.groups)
    _check_fit(x[2:], w[2:], spec)
    return spec, spec.output_size(x[2:], w[2:])


_known = functools.lru_cache(1024)(_checked)  # to check takes longer than a small product


def _check_bias(bias: Array | None, channels: int, output_size: Sizes) -> Array | None:
    """The bias in a form that broadcasts against (N, channels, *output_size)."""
    if bias is None:
        return None
    if bias.shape not in ((channels,), (channels, *output_size)):
        raise ValueError(
            f"`bias` has shape {bias.shape}, but must be {(channels,)}, one for each output channel, or "
            f"{(channels, *output_size)}, one for each output"
        )
    return bias if bias.ndim > 1 else bias[(slice(None), *(None,) * len(output_size))]


def _largest(array: Array | None) -> int:
    """The largest magnitude among integers."""
    return 0 if array is None or not array.size else max(abs(int(array.min())), abs(int(array.max())))


def _check_overflow(first: Array, second: Array | None, terms: int, bias: Array | None = None) -> None:
    """Refuse integers whose sum of `terms` products might leave int64, in whatever order it is taken."""
    if first.dtype.kind != "i":
        return
    factor = 1 if second is None else _largest(second)
    _refuse_overflow(terms, _largest(first) * factor * terms + _largest(bias), 63)


def _transposed_size(x: Array, w: Array, spec: ConvSpec, output_padding: Sizes) -> Sizes:
    """The size of a transposed convolution's output, if its operands fit together."""
    if x.shape[1] % spec.groups:
        raise ValueError(f"`groups` (={spec.groups}) must divide `in_channels` (={x.shape[1]})")
    if w.shape[0] != x.shape[1]:
        raise ValueError(f"`weight` has shape {w.shape}, but its first axis must be in_channels = {x.shape[1]}")
    size = spec.transposed_output_size(x.shape[2:], w.shape[2:], output_padding)
    if any(n < 1 for n in (*size, *x.shape[2:])):
        raise ValueError(
            f"`input` of size {x.shape[2:]} gives an output of size {size}, but both must be at least 1 on every axis: "
            "use less `padding` or a larger `input`"
        )
    return size


def _backward_geometry(
    rank: int, g: Sizes, x: Sizes, w: Sizes, stride: Any, padding: Any, dilation: Any, groups: Any
) -> tuple[ConvSpec, int]:
    """The convolution whose gradients are wanted, and how many positions they are summed over, if shapes fit."""
    _check_axes("input", x, rank, "batch")
    _check_axes("grad_output", g, rank, "batch")
    spec, output_size = _geometry(rank, x, w, stride, padding, dilation, groups)
    shape = (x[0], w[0], *output_size)
    if g != shape:
        raise ValueError(f"`grad_output` has shape {g}, but must have the shape of the output, {shape}")
    return spec, x[0] * math.prod(output_size)


def _refuse_overflow(terms: int, reach: int, bits: int) -> None:
    if reach >= 2**bits:
        raise OverflowError(
            f"a sum of {terms} products may reach {reach}, but must stay below 2**{bits}: "
            "use smaller integers or floats"
        )


def _bordered(x: Array, pairs: Pairs, mode: str) -> Array:
    name: Any = {"reflect": "reflect", "replicate": "edge", "circular": "wrap"}[mode]
    return np.pad(x, [(0, 0), (0, 0), *pairs], mode=name)


def _extended(
    x: Array, spec: ConvSpec, mode: str, fill: Callable[[Array, Pairs, str], Array] = _bordered
) -> tuple[Array, ConvSpec]:
    """The border filled as `padding_mode` says, and the spec of what is left to do."""
    if mode not in PADDING_MODES:
        raise ValueError(f"`padding_mode` is {mode!r}, but must be one of {', '.join(sorted(PADDING_MODES))}")
    if mode == "zeros" or not any(map(any, spec.padding)):
        return x, spec
    if 0 in x.shape[2:]:
        raise ValueError(f"`input` has size {x.shape[2:]}, but `padding_mode` {mode!r} needs elements to repeat")
    spare, room = {"reflect": (1, "smaller than"), "replicate": (-math.inf, ""), "circular": (0, "at most")}[mode]
    for n, pair in zip(x.shape[2:], spec.padding, strict=True):
        if max(pair) > n - spare:
            raise ValueError(f"`padding` is {pair} on an axis of size {n}, but for {mode!r} must be {room} that size")
    plain = ConvSpec(spec.stride, ((0, 0),) * spec.rank, spec.dilation, spec.groups)
    return fill(x, spec.padding, mode), plain


def _refusal(name: str, method: str, reason: str, can: Callable[[Algorithm], bool]) -> NotImplementedError:
    others = ", ".join(sorted(row.name for row in ALGORITHMS.values() if row.name != method and can(row)))
    return NotImplementedError(f"`method` {method!r} cannot do this {name}: {reason}; methods that can: {others}")


def _room(memory: Any, given: tuple[ArrayLike | None, ...], used: tuple[Array, ...], others: int) -> int:
    """The bytes left of a budget in MiB beside operands that had to be copied, and `others`."""
    if isinstance(memory, bool) or not isinstance(memory, (int, float)) or not 0 < memory < math.inf:
        raise ValueError(f"`memory` is {memory!r}, but must be a number of MiB above 0")
    kept = set(map(id, given))
    return int(memory * 2**20) - sum([array.nbytes for array in used if id(array) not in kept]) - others


def _wide(shape: Sizes, computed: np.dtype[Any], dtype: np.dtype[Any]) -> int:
    """The bytes of a result that is still to be rounded."""
    return 0 if computed == dtype else math.prod(shape) * computed.itemsize


def _run(
    name: str,
    method: str,
    spec: ConvSpec,
    shapes: tuple[Sizes, Sizes],
    dtype: np.dtype[Any],
    room: int,
    call: Callable[[Algorithm], tuple[Array, ...]],
) -> tuple[Array, ...]:
    """Do the call with the algorithm named, or say why it cannot and which can; IEEE results, no warnings."""
    pick = {"auto": choose, "fastest": fastest}.get(method)
    chosen = algorithm(pick(name, spec, shapes, dtype) if pick else method)
    sizes = shapes[0][2:], shapes[1][2:]
    reason = chosen.refuses(name, spec, *sizes, dtype)
    try:
        if not reason:
            with np.errstate(all="ignore"):
                return call(chosen)
    except parts.TooLarge as error:
        if pick and chosen.name != "direct":  # the one that needs the least, and is exact enough for all
            return _run(name, "direct", spec, shapes, dtype, room, call)
        raise ValueError(f"`memory` leaves {max(0, room) / 2**20:.3g} MiB, but {error}: give more `memory`") from None
    except NotImplementedError as error:  # only known once the channels are
        reason = str(error)
    raise _refusal(name, chosen.name, reason, lambda row: not row.refuses(name, spec, *sizes, dtype))


def _finished(y: Array, bias: Array | None, dtype: np.dtype[Any], unbatched: bool) -> Array:
    """Add the bias in the computing dtype, then round once."""
    if bias is not None or y.dtype != dtype:
        with np.errstate(all="ignore"):
            if bias is not None:
                y += bias
            y = y.astype(dtype, copy=False)
    y = np.ascontiguousarray(y)
    return y[0] if unbatched else y


def _conv(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    padding_mode: str,
    method: str,
    memory: float,
) -> Array:
    if foreign(input, weight, bias) and (xp := namespace(input=input, weight=weight, bias=bias)) is not None:
        found: Array = conv_on(xp, rank, input, weight, bias, stride, padding, dilation, groups, padding_mode, method)
        return found
    arrays, dtype = _operands(input=input, weight=weight, bias=bias)
    w = arrays["weight"]
    x, unbatched = _batched("input", arrays["input"], rank)
    spec, output_size = _geometry(rank, x.shape, w.shape, stride, padding, dilation, groups)
    padded, spec = _extended(x, spec, padding_mode)
    b = _check_bias(arrays.get("bias"), w.shape[0], output_size)
    _check_overflow(x, w, math.prod(w.shape[1:]), b)
    others = _wide((x.shape[0], w.shape[0], *output_size), x.dtype, dtype)
    others += 0 if x.shape == padded.shape else padded.nbytes
    room = _room(memory, (input, weight, bias), tuple(arrays.values()), others)
    x = padded
    (y,) = _run(
        f"conv{rank}d",
        method,
        spec,
        (x.shape, w.shape),
        x.dtype,
        room,
        lambda chosen: (parts.conv(chosen, x, w, spec, room),),
    )
    return _finished(y, b, dtype, unbatched)


def _conv_transpose(
    rank: int,
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
    method: str,
    memory: float,
) -> Array:
    if foreign(input, weight, bias) and (xp := namespace(input=input, weight=weight, bias=bias)) is not None:
        found: Array = conv_transpose_on(
            xp, rank, input, weight, bias, stride, padding, output_padding, groups, dilation, method
        )
        return found
    arrays, dtype = _operands(input=input, weight=weight, bias=bias)
    w = arrays["weight"]
    x, unbatched = _batched("input", arrays["input"], rank)
    _check_weight(w.shape, rank)
    spec, extra = transposed_spec(rank, stride, padding, output_padding, groups, dilation)
    size = _transposed_size(x, w, spec, extra)
    out_channels = w.shape[1] * spec.groups
    b = _check_bias(arrays.get("bias"), out_channels, size)
    _check_overflow(x, w, w.shape[0] // spec.groups * math.prod(w.shape[2:]), b)
    shapes = ((x.shape[0], out_channels, *size), w.shape)
    room = _room(memory, (input, weight, bias), tuple(arrays.values()), _wide(shapes[0], x.dtype, dtype))
    (y,) = _run(
        f"conv_transpose{rank}d",
        method,
        spec,
        shapes,
        x.dtype,
        room,
        lambda chosen: (parts.input_grad(chosen, x, w, spec, size, room),),
    )
    return _finished(y, b, dtype, unbatched)


def _conv_backward(
    rank: int,
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    method: str,
    memory: float,
) -> tuple[Array, Array, Array]:
    if (
        foreign(grad_output, input, weight)
        and (xp := namespace(grad_output=grad_output, input=input, weight=weight)) is not None
    ):
        return conv_backward_on(xp, rank, grad_output, input, weight, stride, padding, dilation, groups, method)
    arrays, dtype = _operands(grad_output=grad_output, input=input, weight=weight)
    g, x, w = arrays.values()
    spec, positions = _backward_geometry(rank, g.shape, x.shape, w.shape, stride, padding, dilation, groups)
    _check_overflow(g, w, w.shape[0] // spec.groups * math.prod(w.shape[2:]))
    _check_overflow(g, x, positions)
    _check_overflow(g, None, positions)

    others = sum(_wide(array.shape, x.dtype, dtype) for array in (x, w))
    room = _room(memory, (grad_output, input, weight), tuple(arrays.values()), others)

    def gradients(chosen: Algorithm) -> tuple[Array, ...]:
        return (
            parts.input_grad(chosen, g, w, spec, x.shape[2:], room),
            parts.weight_grad(chosen, g, x, spec, w.shape[2:], room),
            g.sum(axis=(0, *range(2, rank + 2)), dtype=g.dtype),
        )

    results = _run(f"conv{rank}d_backward", method, spec, (x.shape, w.shape), x.dtype, room, gradients)
    grad_input, grad_weight, grad_bias = (_finished(r, None, dtype, False) for r in results)
    return grad_input, grad_weight, grad_bias


def _check_overflow_on(xp: Any, first: Any, second: Any, terms: int, bias: Any = None) -> None:
    """Likewise, for integers as wide as the library's own."""
    if xp.isdtype(first.dtype, "integral"):
        factor = 1 if second is None else largest(xp, second)
        reach = largest(xp, first) * factor * terms + largest(xp, bias)
        _refuse_overflow(terms, reach, xp.iinfo(first.dtype).bits - 1)


def _run_on(
    xp: Any,
    name: str,
    method: str,
    spec: ConvSpec,
    shapes: tuple[Sizes, Sizes],
    dtype: Any,
    call: Callable[[Portable], tuple[Any, ...]],
) -> tuple[Any, ...]:
    """Do the call with the algorithm named, or say why it cannot and which can."""
    integers = xp.isdtype(dtype, "integral")
    chosen = portable.choose(shapes[1], integers) if method == "auto" else method
    if chosen != "fastest":
        algorithm(chosen)
    kind, sizes = np.dtype(np.int64 if integers else np.float64), (shapes[0][2:], shapes[1][2:])

    def refused(row: Algorithm) -> str:
        if row.name not in portable.CONV:
            return "it is for NumPy's arrays alone"
        return row.refuses(name, spec, *sizes, kind)

    if chosen == "fastest" or (reason := refused(ALGORITHMS[chosen])):
        reason = "it knows the prices of NumPy alone" if chosen == "fastest" else reason
        raise _refusal(name, chosen, reason, lambda row: not refused(row))
    return call(portable.CONV[chosen])


def _finished_on(xp: Any, y: Any, bias: Any, dtype: Any, unbatched: bool) -> Any:
    """Add the bias in the computing dtype, then round once."""
    y = xp.astype(y if bias is None else y + bias, dtype, copy=False)
    return y[0, ...] if unbatched else y


def conv_on(
    xp: Any,
    rank: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    padding_mode: str,
    method: str,
) -> Any:
    """`conv1d` to `conv3d` on arrays of any library, whose namespace comes first."""
    arrays, dtype = operands(xp, NUMBERS, input=input, weight=weight, bias=bias)
    w = arrays["weight"]
    x, unbatched = _batched("input", arrays["input"], rank)
    spec, output_size = _geometry(rank, x.shape, w.shape, stride, padding, dilation, groups)
    x, spec = _extended(x, spec, padding_mode, functools.partial(taps.extended, xp))
    b = _check_bias(arrays.get("bias"), w.shape[0], output_size)
    _check_overflow_on(xp, x, w, math.prod(w.shape[1:]), b)
    (y,) = _run_on(
        xp, f"conv{rank}d", method, spec, (x.shape, w.shape), x.dtype, lambda way: (way.conv(xp, x, w, spec),)
    )
    return _finished_on(xp, y, b, dtype, unbatched)


def conv_transpose_on(
    xp: Any,
    rank: int,
    input: Any,
    weight: Any,
    bias: Any,
    stride: Any,
    padding: Any,
    output_padding: Any,
    groups: Any,
    dilation: Any,
    method: str,
) -> Any:
    """`conv_transpose1d` to `conv_transpose3d`, likewise."""
    arrays, dtype = operands(xp, NUMBERS, input=input, weight=weight, bias=bias)
    w = arrays["weight"]
    x, unbatched = _batched("input", arrays["input"], rank)
    _check_weight(w.shape, rank)
    spec, extra = transposed_spec(rank, stride, padding, output_padding, groups, dilation)
    size = _transposed_size(x, w, spec, extra)
    out_channels = w.shape[1] * spec.groups
    b = _check_bias(arrays.get("bias"), out_channels, size)
    _check_overflow_on(xp, x, w, w.shape[0] // spec.groups * math.prod(w.shape[2:]), b)
    name, shapes = f"conv_transpose{rank}d", ((x.shape[0], out_channels, *size), w.shape)
    (y,) = _run_on(xp, name, method, spec, shapes, x.dtype, lambda way: (way.input_grad(xp, x, w, spec, size),))
    return _finished_on(xp, y, b, dtype, unbatched)


def conv_backward_on(
    xp: Any,
    rank: int,
    grad_output: Any,
    input: Any,
    weight: Any,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: Any,
    method: str,
) -> tuple[Any, Any, Any]:
    """`conv1d_backward` to `conv3d_backward`, likewise."""
    arrays, dtype = operands(xp, NUMBERS, grad_output=grad_output, input=input, weight=weight)
    g, x, w = arrays.values()
    spec, positions = _backward_geometry(rank, g.shape, x.shape, w.shape, stride, padding, dilation, groups)
    _check_overflow_on(xp, g, w, w.shape[0] // spec.groups * math.prod(w.shape[2:]))
    _check_overflow_on(xp, g, x, positions)
    _check_overflow_on(xp, g, None, positions)

    def gradients(way: Portable) -> tuple[Any, ...]:
        return (
            way.input_grad(xp, g, w, spec, x.shape[2:]),
            way.weight_grad(xp, g, x, spec, w.shape[2:]),
            xp.sum(g, axis=(0, *range(2, rank + 2)), dtype=g.dtype),
        )

    results = _run_on(xp, f"conv{rank}d_backward", method, spec, (x.shape, w.shape), x.dtype, gradients)
    grad_input, grad_weight, grad_bias = (_finished_on(xp, r, None, dtype, False) for r in results)
    return grad_input, grad_weight, grad_bias


def conv1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    method: str = "auto",
    memory: float = 256,
) -> Array:
    """Cross-correlate a batch of 1-D signals with a set of kernels, as `torch.nn.functional.conv1d`.

    y[n, o, i] = bias[o] + sum over c, r of
    weight[o, c, r] input[n, c, i s + r d - p]
    with stride s, dilation d and padding p of each axis [Dumoulin & Visin, A guide to convolution arithmetic, 2016].

    Parameters
    ----------
    input : array (batch, in_channels, length), or without the batch
        Float16, bfloat16, float32, float64, complex or integer; read-only and strided arrays are fine.
    weight : array (out_channels, in_channels / groups, kernel_length)
        Of the same dtype as `input`.
    bias : array (out_channels,) or (out_channels, *output_size), optional
        One number for each channel, or for each output.
    stride, dilation : int or tuple of 1
        Steps of the window, and between the taps, in elements.
    padding : int, tuple of 1, 1 pairs (before, after), "valid", "same" or "same_lower"
        Elements around the input; "same" keeps the size and puts an odd one after, "same_lower" before.
    groups : int
        Channels are split into so many independent convolutions.
    padding_mode : str
        What the border holds: "zeros", "reflect", "replicate" or "circular".
    method : str
        One of ALGORITHMS; "auto": always the same one for a shape, with the error of direct summation; "fastest": what
        should take the least time on this machine, measured once, whatever its class of error.
    memory : float
        MiB that may be allocated beside operands and results: the work is cut into parts that keep to it. Arrays of
        other libraries than NumPy are computed in one piece.

    Returns
    -------
    array (batch, out_channels, *output_size)
        output_size = floor((n + padding - dilation (k - 1) - 1) / stride) + 1; dtype of `input`, int64 for integers.

    Raises
    ------
    ValueError
        A shape or an argument does not fit, or the kernel is larger than the padded input.
        No way to compute it keeps to `memory`.
    TypeError
        The arrays are of different dtypes, or of one that has no convolution (bool, object, ...).
    OverflowError
        A sum of integers might leave int64.
    NotImplementedError
        `method` cannot do this call; the message names those that can.

    Examples
    --------
    >>> conv1d([[[1, 2, 3, 4]]], [[[1, -1]]])
    array([[[-1, -1, -1]]])
    """
    return _conv(1, input, weight, bias, stride, padding, dilation, groups, padding_mode, method, memory)


def conv2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    method: str = "auto",
    memory: float = 256,
) -> Array:
    """Cross-correlate a batch of 2-D images with a set of kernels, as `torch.nn.functional.conv2d`.

    y[n, o, i, j] = bias[o] + sum over c, r, t of
    weight[o, c, r, t] input[n, c, i s + r d - p, j s + t d - p]
    with stride s, dilation d and padding p of each axis [Dumoulin & Visin, A guide to convolution arithmetic, 2016].

    Parameters
    ----------
    input : array (batch, in_channels, height, width), or without the batch
        Float16, bfloat16, float32, float64, complex or integer; read-only and strided arrays are fine.
    weight : array (out_channels, in_channels / groups, kernel_height, kernel_width)
        Of the same dtype as `input`.
    bias : array (out_channels,) or (out_channels, *output_size), optional
        One number for each channel, or for each output.
    stride, dilation : int or tuple of 2
        Steps of the window, and between the taps, in elements.
    padding : int, tuple of 2, 2 pairs (before, after), "valid", "same" or "same_lower"
        Elements around the input; "same" keeps the size and puts an odd one after, "same_lower" before.
    groups : int
        Channels are split into so many independent convolutions.
    padding_mode : str
        What the border holds: "zeros", "reflect", "replicate" or "circular".
    method : str
        One of ALGORITHMS; "auto": always the same one for a shape, with the error of direct summation; "fastest": what
        should take the least time on this machine, measured once, whatever its class of error.
    memory : float
        MiB that may be allocated beside operands and results: the work is cut into parts that keep to it. Arrays of
        other libraries than NumPy are computed in one piece.

    Returns
    -------
    array (batch, out_channels, *output_size)
        output_size = floor((n + padding - dilation (k - 1) - 1) / stride) + 1; dtype of `input`, int64 for integers.

    Raises
    ------
    ValueError
        A shape or an argument does not fit, or the kernel is larger than the padded input.
        No way to compute it keeps to `memory`.
    TypeError
        The arrays are of different dtypes, or of one that has no convolution (bool, object, ...).
    OverflowError
        A sum of integers might leave int64.
    NotImplementedError
        `method` cannot do this call; the message names those that can.

    Examples
    --------
    >>> x, w = np.arange(9).reshape(1, 1, 3, 3), np.arange(4).reshape(1, 1, 2, 2)
    >>> conv2d(x, w)
    array([[[[19, 25],
             [37, 43]]]])
    """
    return _conv(2, input, weight, bias, stride, padding, dilation, groups, padding_mode, method, memory)


def conv3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    padding_mode: str = "zeros",
    method: str = "auto",
    memory: float = 256,
) -> Array:
    """Cross-correlate a batch of 3-D volumes with a set of kernels, as `torch.nn.functional.conv3d`.

    y[n, o, i, j, k] = bias[o] + sum over c, q, r, t of
    weight[o, c, q, r, t] input[n, c, i s + q d - p, j s + r d - p, k s + t d - p]
    with stride s, dilation d and padding p of each axis [Dumoulin & Visin, A guide to convolution arithmetic, 2016].

    Parameters
    ----------
    input : array (batch, in_channels, depth, height, width), or without the batch
        Float16, bfloat16, float32, float64, complex or integer; read-only and strided arrays are fine.
    weight : array (out_channels, in_channels / groups, kernel_depth, kernel_height, kernel_width)
        Of the same dtype as `input`.
    bias : array (out_channels,) or (out_channels, *output_size), optional
        One number for each channel, or for each output.
    stride, dilation : int or tuple of 3
        Steps of the window, and between the taps, in elements.
    padding : int, tuple of 3, 3 pairs (before, after), "valid", "same" or "same_lower"
        Elements around the input; "same" keeps the size and puts an odd one after, "same_lower" before.
    groups : int
        Channels are split into so many independent convolutions.
    padding_mode : str
        What the border holds: "zeros", "reflect", "replicate" or "circular".
    method : str
        One of ALGORITHMS; "auto": always the same one for a shape, with the error of direct summation; "fastest": what
        should take the least time on this machine, measured once, whatever its class of error.
    memory : float
        MiB that may be allocated beside operands and results: the work is cut into parts that keep to it. Arrays of
        other libraries than NumPy are computed in one piece.

    Returns
    -------
    array (batch, out_channels, *output_size)
        output_size = floor((n + padding - dilation (k - 1) - 1) / stride) + 1; dtype of `input`, int64 for integers.

    Raises
    ------
    ValueError
        A shape or an argument does not fit, or the kernel is larger than the padded input.
        No way to compute it keeps to `memory`.
    TypeError
        The arrays are of different dtypes, or of one that has no convolution (bool, object, ...).
    OverflowError
        A sum of integers might leave int64.
    NotImplementedError
        `method` cannot do this call; the message names those that can.

    Examples
    --------
    >>> conv3d(np.ones((1, 2, 3, 3, 3)), np.ones((1, 2, 3, 3, 3)))
    array([[[[[54.]]]]])
    """
    return _conv(3, input, weight, bias, stride, padding, dilation, groups, padding_mode, method, memory)


def conv_transpose1d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    method: str = "auto",
    memory: float = 256,
) -> Array:
    """Apply the transpose of a convolution to a batch of 1-D signals, as `torch.nn.functional.conv_transpose1d`.

    Each element of `input` adds a copy of the kernel, times itself, to the output: the gradient of `conv1d` with
    respect to its input [Dumoulin & Visin, A guide to convolution arithmetic, 2016, ch. 4].

    Parameters
    ----------
    input : array (batch, in_channels, length), or without the batch
        Float16, bfloat16, float32, float64, complex or integer; read-only and strided arrays are fine.
    weight : array (in_channels, out_channels / groups, kernel_length)
        Of the same dtype as `input`; input channels come first.
    bias : array (out_channels,) or (out_channels, *output_size), optional
        One number for each channel, or for each output.
    stride, dilation : int or tuple of 1
        Steps between the copies, and between the taps, in elements.
    padding : int, tuple of 1 or 1 pairs (before, after)
        Elements taken away from the output's ends.
    output_padding : int or tuple of 1
        Elements added at the output's far end, fewer than the stride or the dilation.
    groups : int
        Channels are split into so many independent convolutions.
    method : str
        One of ALGORITHMS; "auto": always the same one for a shape, with the error of direct summation; "fastest": what
        should take the least time on this machine, measured once, whatever its class of error.
    memory : float
        MiB that may be allocated beside operands and results: the work is cut into parts that keep to it. Arrays of
        other libraries than NumPy are computed in one piece.

    Returns
    -------
    array (batch, out_channels, *output_size)
        output_size = (n - 1) stride - padding + dilation (k - 1) + output_padding + 1, `padding` the sum of both
        ends; dtype of `input`, int64 for integers.

    Raises
    ------
    ValueError
        A shape or an argument does not fit, or nothing is left of the output.
        No way to compute it keeps to `memory`.
    TypeError
        The arrays are of different dtypes, or of one that has no convolution (bool, object, ...).
    OverflowError
        A sum of integers might leave int64.
    NotImplementedError
        `method` cannot do this call; the message names those that can.

    Examples
    --------
    >>> conv_transpose1d([[[1, 2]]], [[[1, 10]]], stride=2)
    array([[[ 1, 10,  2, 20]]])
    """
    return _conv_transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation, method, memory)


def conv_transpose2d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    method: str = "auto",
    memory: float = 256,
) -> Array:
    """Apply the transpose of a convolution to a batch of 2-D images, as `torch.nn.functional.conv_transpose2d`.

    Each element of `input` adds a copy of the kernel, times itself, to the output: the gradient of `conv2d` with
    respect to its input [Dumoulin & Visin, A guide to convolution arithmetic, 2016, ch. 4].

    Parameters
    ----------
    input : array (batch, in_channels, height, width), or without the batch
        Float16, bfloat16, float32, float64, complex or integer; read-only and strided arrays are fine.
    weight : array (in_channels, out_channels / groups, kernel_height, kernel_width)
        Of the same dtype as `input`; input channels come first.
    bias : array (out_channels,) or (out_channels, *output_size), optional
        One number for each channel, or for each output.
    stride, dilation : int or tuple of 2
        Steps between the copies, and between the taps, in elements.
    padding : int, tuple of 2 or 2 pairs (before, after)
        Elements taken away from the output's ends.
    output_padding : int or tuple of 2
        Elements added at the output's far end, fewer than the stride or the dilation.
    groups : int
        Channels are split into so many independent convolutions.
    method : str
        One of ALGORITHMS; "auto": always the same one for a shape, with the error of direct summation; "fastest": what
        should take the least time on this machine, measured once, whatever its class of error.
    memory : float
        MiB that may be allocated beside operands and results: the work is cut into parts that keep to it. Arrays of
        other libraries than NumPy are computed in one piece.

    Returns
    -------
    array (batch, out_channels, *output_size)
        output_size = (n - 1) stride - padding + dilation (k - 1) + output_padding + 1, `padding` the sum of both
        ends; dtype of `input`, int64 for integers.

    Raises
    ------
    ValueError
        A shape or an argument does not fit, or nothing is left of the output.
        No way to compute it keeps to `memory`.
    TypeError
        The arrays are of different dtypes, or of one that has no convolution (bool, object, ...).
    OverflowError
        A sum of integers might leave int64.
    NotImplementedError
        `method` cannot do this call; the message names those that can.

    Examples
    --------
    >>> x = np.arange(4).reshape(1, 1, 2, 2)
    >>> conv_transpose2d(x, x)
    array([[[[ 0,  0,  1],
             [ 0,  4,  6],
             [ 4, 12,  9]]]])
    """
    return _conv_transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation, method, memory)


def conv_transpose3d(
    input: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike | None = None,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,
    groups: int = 1,
    dilation: Any = 1,
    *,
    method: str = "auto",
    memory: float = 256,
) -> Array:
    """Apply the transpose of a convolution to a batch of 3-D volumes, as `torch.nn.functional.conv_transpose3d`.

    Each element of `input` adds a copy of the kernel, times itself, to the output: the gradient of `conv3d` with
    respect to its input [Dumoulin & Visin, A guide to convolution arithmetic, 2016, ch. 4].

    Parameters
    ----------
    input : array (batch, in_channels, depth, height, width), or without the batch
        Float16, bfloat16, float32, float64, complex or integer; read-only and strided arrays are fine.
    weight : array (in_channels, out_channels / groups, kernel_depth, kernel_height, kernel_width)
        Of the same dtype as `input`; input channels come first.
    bias : array (out_channels,) or (out_channels, *output_size), optional
        One number for each channel, or for each output.
    stride, dilation : int or tuple of 3
        Steps between the copies, and between the taps, in elements.
    padding : int, tuple of 3 or 3 pairs (before, after)
        Elements taken away from the output's ends.
    output_padding : int or tuple of 3
        Elements added at the output's far end, fewer than the stride or the dilation.
    groups : int
        Channels are split into so many independent convolutions.
    method : str
        One of ALGORITHMS; "auto": always the same one for a shape, with the error of direct summation; "fastest": what
        should take the least time on this machine, measured once, whatever its class of error.
    memory : float
        MiB that may be allocated beside operands and results: the work is cut into parts that keep to it. Arrays of
        other libraries than NumPy are computed in one piece.

    Returns
    -------
    array (batch, out_channels, *output_size)
        output_size = (n - 1) stride - padding + dilation (k - 1) + output_padding + 1, `padding` the sum of both
        ends; dtype of `input`, int64 for integers.

    Raises
    ------
    ValueError
        A shape or an argument does not fit, or nothing is left of the output.
        No way to compute it keeps to `memory`.
    TypeError
        The arrays are of different dtypes, or of one that has no convolution (bool, object, ...).
    OverflowError
        A sum of integers might leave int64.
    NotImplementedError
        `method` cannot do this call; the message names those that can.

    Examples
    --------
    >>> conv_transpose3d(np.full((1, 1, 1, 1, 1), 3), np.full((1, 1, 1, 1, 2), 2))
    array([[[[[6, 6]]]]])
    """
    return _conv_transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation, method, memory)


def conv1d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    method: str = "auto",
    memory: float = 256,
) -> tuple[Array, Array, Array]:
    """The gradients of `conv1d` with respect to input, weight and bias, given that with respect to its output.

    grad_weight is `input` correlated with `grad_output`; grad_input is `grad_output`, fully padded, correlated with the
    kernel rotated by 180 degrees; grad_bias is the sum of `grad_output` over batch and positions [LeCun et al. 1998].
    Complex numbers are not conjugated.

    Parameters
    ----------
    grad_output : array (batch, out_channels, *output_size)
        The gradient with respect to the output.
    input : array (batch, in_channels, length)
        Float16, bfloat16, float32, float64, complex or integer; read-only and strided arrays are fine.
    weight : array (out_channels, in_channels / groups, kernel_length)
        All three of the same dtype.
    stride, padding, dilation, groups
        As they were given to `conv1d`.
    method : str
        One of ALGORITHMS; "auto": always the same one for a shape, with the error of direct summation; "fastest": what
        should take the least time on this machine, measured once, whatever its class of error.
    memory : float
        MiB that may be allocated beside operands and results: the work is cut into parts that keep to it. Arrays of
        other libraries than NumPy are computed in one piece.

    Returns
    -------
    grad_input, grad_weight, grad_bias : arrays
        Shaped as `input`, `weight` and (out_channels,); dtype of `input`, int64 for integers.

    Raises
    ------
    ValueError
        A shape or an argument does not fit, as `grad_output` that is not shaped as the output.
        No way to compute it keeps to `memory`.
    TypeError
        The arrays are of different dtypes, or of one that has no convolution (bool, object, ...).
    OverflowError
        A sum of integers might leave int64.
    NotImplementedError
        `method` cannot do this call; the message names those that can.

    Examples
    --------
    >>> conv1d_backward([[[1, 1, 1]]], [[[1, 2, 3, 4]]], [[[1, -1]]])
    (array([[[ 1,  0,  0, -1]]]), array([[[6, 9]]]), array([3]))
    """
    return _conv_backward(1, grad_output, input, weight, stride, padding, dilation, groups, method, memory)


def conv2d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    method: str = "auto",
    memory: float = 256,
) -> tuple[Array, Array, Array]:
    """The gradients of `conv2d` with respect to input, weight and bias, given that with respect to its output.

    grad_weight is `input` correlated with `grad_output`; grad_input is `grad_output`, fully padded, correlated with the
    kernel rotated by 180 degrees; grad_bias is the sum of `grad_output` over batch and positions [LeCun et al. 1998].
    Complex numbers are not conjugated.

    Parameters
    ----------
    grad_output : array (batch, out_channels, *output_size)
        The gradient with respect to the output.
    input : array (batch, in_channels, height, width)
        Float16, bfloat16, float32, float64, complex or integer; read-only and strided arrays are fine.
    weight : array (out_channels, in_channels / groups, kernel_height, kernel_width)
        All three of the same dtype.
    stride, padding, dilation, groups
        As they were given to `conv2d`.
    method : str
        One of ALGORITHMS; "auto": always the same one for a shape, with the error of direct summation; "fastest": what
        should take the least time on this machine, measured once, whatever its class of error.
    memory : float
        MiB that may be allocated beside operands and results: the work is cut into parts that keep to it. Arrays of
        other libraries than NumPy are computed in one piece.

    Returns
    -------
    grad_input, grad_weight, grad_bias : arrays
        Shaped as `input`, `weight` and (out_channels,); dtype of `input`, int64 for integers.

    Raises
    ------
    ValueError
        A shape or an argument does not fit, as `grad_output` that is not shaped as the output.
        No way to compute it keeps to `memory`.
    TypeError
        The arrays are of different dtypes, or of one that has no convolution (bool, object, ...).
    OverflowError
        A sum of integers might leave int64.
    NotImplementedError
        `method` cannot do this call; the message names those that can.

    Examples
    --------
    >>> x, w = np.arange(9).reshape(1, 1, 3, 3), np.arange(4).reshape(1, 1, 2, 2)
    >>> grad_input, grad_weight, grad_bias = conv2d_backward(np.ones((1, 1, 2, 2), int), x, w)
    >>> grad_weight
    array([[[[ 8, 12],
             [20, 24]]]])
    """
    return _conv_backward(2, grad_output, input, weight, stride, padding, dilation, groups, method, memory)


def conv3d_backward(
    grad_output: ArrayLike,
    input: ArrayLike,
    weight: ArrayLike,
    stride: Any = 1,
    padding: Any = 0,
    dilation: Any = 1,
    groups: int = 1,
    *,
    method: str = "auto",
    memory: float = 256,
) -> tuple[Array, Array, Array]:
    """The gradients of `conv3d` with respect to input, weight and bias, given that with respect to its output.

    grad_weight is `input` correlated with `grad_output`; grad_input is `grad_output`, fully padded, correlated with the
    kernel rotated by 180 degrees; grad_bias is the sum of `grad_output` over batch and positions [LeCun et al. 1998].
    Complex numbers are not conjugated.

    Parameters
    ----------
    grad_output : array (batch, out_channels, *output_size)
        The gradient with respect to the output.
    input : array (batch, in_channels, depth, height, width)
        Float16, bfloat16, float32, float64, complex or integer; read-only and strided arrays are fine.
    weight : array (out_channels, in_channels / groups, kernel_depth, kernel_height, kernel_width)
        All three of the same dtype.
    stride, padding, dilation, groups
        As they were given to `conv3d`.
    method : str
        One of ALGORITHMS; "auto": always the same one for a shape, with the error of direct summation; "fastest": what
        should take the least time on this machine, measured once, whatever its class of error.
    memory : float
        MiB that may be allocated beside operands and results: the work is cut into parts that keep to it. Arrays of
        other libraries than NumPy are computed in one piece.

    Returns
    -------
    grad_input, grad_weight, grad_bias : arrays
        Shaped as `input`, `weight` and (out_channels,); dtype of `input`, int64 for integers.

    Raises
    ------
    ValueError
        A shape or an argument does not fit, as `grad_output` that is not shaped as the output.
        No way to compute it keeps to `memory`.
    TypeError
        The arrays are of different dtypes, or of one that has no convolution (bool, object, ...).
    OverflowError
        A sum of integers might leave int64.
    NotImplementedError
        `method` cannot do this call; the message names those that can.

    Examples
    --------
    >>> x = np.ones((1, 2, 3, 3, 3))
    >>> [g.shape for g in conv3d_backward(np.ones((1, 1, 1, 1, 1)), x, x)]
    [(1, 2, 3, 3, 3), (1, 2, 3, 3, 3), (1,)]
    """
    return _conv_backward(3, grad_output, input, weight, stride, padding, dilation, groups, method, memory)
