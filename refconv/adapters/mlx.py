"""MLX on the CPU: mx.conv_general, mx.conv_transpose, the poolings of mlx.nn, gradients by mx.vjp.

Conventions translated. Arrays are N, ..., C and weights O, ..., I / groups, also those of a transposed convolution,
where PyTorch has I, O, .... Padding of a convolution is two lists, all befores and all afters; a transposed convolution
pads all sides alike and MLX documents it without groups: uneven padding is cut off, groups are declined. Poolings pad
all sides alike, have neither dilation nor ceil mode, and averages divide by the kernel: other padding is written beside
the input first (minus infinity for maxima), dilation and averages over part of a window are declined.

MLX offers float32, float64, float16 and bfloat16 on the CPU. Claims: the bias is added after
rounding, and the gradient of a maximum is split among equal ones.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from refconv.adapters import translate
from refconv.claims import Claims
from refconv.dtypes import Array, numpy_dtype
from refconv.features import Scope
from refconv.spec import ConvSpec, PoolSpec
from refconv.subject import Subject

SCOPE = Scope(pairs=True)


def subject() -> Subject:
    """Convolutions, poolings and their gradients in one to three dimensions."""
    import mlx.core as mx
    import mlx.nn

    mx.set_default_device(mx.cpu)
    kinds: translate.Kinds = {
        "conv": _conv,
        "conv_backward": _conv_backward,
        "conv_transpose": _conv_transpose,
        "max_pool": _max_pool,
        "max_pool_backward": _max_pool_backward,
        "avg_pool": _avg_pool,
        "avg_pool_backward": _avg_pool_backward,
    }
    library = SimpleNamespace(mx=mx, nn=mlx.nn)
    return Subject("mlx", translate.functions(library, kinds), Claims(epilogue="separate", ties="any"), SCOPE)


def _conv(lib: Any, input: Array, weight: Array, bias: Array | None = None, **arguments: Any) -> Array:
    spec = translate.conv(input, weight, **arguments)
    return _back(lib, _convolved(lib, *(_given(lib, a) for a in (input, weight, bias) if a is not None), spec=spec))


def _conv_backward(lib: Any, grad_output: Array, input: Array, weight: Array, **arguments: Any) -> tuple[Array, ...]:
    spec = translate.conv(input, weight, **arguments)
    bias = np.zeros(weight.shape[0], weight.dtype)
    return _gradients(lib, lambda *given: _convolved(lib, *given, spec=spec), (input, weight, bias), grad_output)


def _convolved(lib: Any, x: Any, w: Any, bias: Any = None, *, spec: ConvSpec) -> Any:
    padding = ([a for a, _ in spec.padding], [b for _, b in spec.padding])
    y = lib.mx.conv_general(x, w, list(spec.stride), padding, list(spec.dilation), 1, spec.groups)
    return y if bias is None else y + bias


def _conv_transpose(lib: Any, input: Array, weight: Array, bias: Array | None = None, **arguments: Any) -> Array:
    spec, extra = translate.transposed(input, weight, **arguments)
    if spec.groups > 1:
        raise NotImplementedError("MLX documents transposed convolution without groups")
    size = spec.transposed_output_size(input.shape[2:], weight.shape[2:], extra)
    padding, first = tuple(min(a, b) for a, b in spec.padding), tuple(max(0, a - b) for a, b in spec.padding)
    function = getattr(lib.mx, f"conv_transpose{spec.rank}d")
    x, w = _given(lib, input), _given(lib, weight.swapaxes(0, 1))
    y = function(x, w, *map(_short, (spec.stride, padding, spec.dilation, extra)))
    return translate.cut(_back(lib, y if bias is None else y + _given(lib, bias)), first, size)


def _short(values: tuple[int, ...]) -> Any:
    """One-dimensional operations take a number, not a tuple of one."""
    return values if len(values) > 1 else values[0]


def _max_pool(lib: Any, input: Array, **arguments: Any) -> Array:
    return _back(lib, _pooled(lib, "Max", _given(lib, input), translate.window(input, **arguments)))


def _avg_pool(lib: Any, input: Array, **arguments: Any) -> Array:
    return _back(lib, _pooled(lib, "Avg", _given(lib, input), translate.window(input, **arguments)))


def _max_pool_backward(lib: Any, grad_output: Array, input: Array, **arguments: Any) -> Array:
    spec = translate.window(input, **arguments)
    return _gradients(lib, lambda x: _pooled(lib, "Max", x, spec), (input,), grad_output)[0]


def _avg_pool_backward(lib: Any, grad_output: Array, input: Array, **arguments: Any) -> Array:
    spec = translate.window(input, **arguments)
    return _gradients(lib, lambda x: _pooled(lib, "Avg", x, spec), (input,), grad_output)[0]


def _pooled(lib: Any, what: str, x: Any, spec: PoolSpec) -> Any:
    size = tuple(x.shape[1:-1])
    if any(d > 1 for d in spec.dilation):
        raise NotImplementedError("mlx.nn's poolings have no dilation")
    if what == "Avg" and not translate.zeros_count(spec, size):
        raise NotImplementedError("mlx.nn's averages divide by the size of the kernel")
    pairs = translate.pads_beside_windows(spec, size)
    padding = tuple(a for a, _ in pairs)
    if any(a != b for a, b in pairs):
        fill = -np.inf if what == "Max" else 0.0
        x, padding = lib.mx.pad(x, [(0, 0), *pairs, (0, 0)], constant_values=fill), (0,) * spec.rank
    layer = getattr(lib.nn, f"{what}Pool{spec.rank}d")
    return layer(spec.kernel_size, spec.stride, padding)(x)


# ---------------------------------------------------------------------------------------------------- arrays


def _given(lib: Any, a: Array) -> Any:
    """N, C, ... -> MLX's array of the same dtype, channels last."""
    a = translate.channels_last(a) if a.ndim > 2 else np.ascontiguousarray(a)
    if a.dtype.name == "bfloat16":
        return lib.mx.array(a.view(np.uint16)).view(lib.mx.bfloat16)
    return lib.mx.array(a, getattr(lib.mx, a.dtype.name))  # float64 would be taken for float32


def _back(lib: Any, y: Any) -> Array:
    whole = np.array(y.view(lib.mx.uint16)).view(numpy_dtype("bfloat16")) if y.dtype == lib.mx.bfloat16 else np.array(y)
    return translate.channels_first(whole) if whole.ndim > 2 else whole


def _gradients(
    lib: Any, function: Callable[..., Any], operands: tuple[Array, ...], grad_output: Array
) -> tuple[Array, ...]:
    _, gradients = lib.mx.vjp(function, [_given(lib, a) for a in operands], [_given(lib, grad_output)])
    return tuple(_back(lib, g) for g in gradients)
