"""tinygrad on its CPU device: Tensor.conv2d, conv_transpose2d, max_pool2d, avg_pool2d, gradients by backward.

Conventions translated. The operations called 2d take any number of axes; arrays are N, C, ... and weights as PyTorch's,
those of a transposed convolution I, O / groups, .... Uneven padding is one flat list, last axis first: left, right,
top, bottom. Ceil mode and the counting of padding are PyTorch's by its documentation.

tinygrad offers float32, float64 and float16 (bfloat16 too, where its compiler does). It compiles each call with clang,
which must be installed. Claims: the bias is added after rounding.
"""

from __future__ import annotations

import os
import shutil
from typing import Any

import numpy as np

from refconv.adapters import translate
from refconv.claims import Claims
from refconv.dtypes import Array, numpy_dtype
from refconv.features import Scope
from refconv.spec import ConvSpec, Pairs, PoolSpec
from refconv.subject import Subject, TargetError

SCOPE = Scope(pairs=True)


def subject() -> Subject:
    """Convolutions, poolings and their gradients in one to three dimensions. Raises TargetError without a compiler."""
    compiler = os.environ.get("CC", "clang")
    if shutil.which(compiler) is None:
        raise TargetError(f"target 'tinygrad' compiles each call by {compiler!r}, which is not on the path: install it")
    import tinygrad

    kinds: translate.Kinds = {
        "conv": _conv,
        "conv_backward": _conv_backward,
        "conv_transpose": _conv_transpose,
        "max_pool": _max_pool,
        "max_pool_backward": _max_pool_backward,
        "avg_pool": _avg_pool,
        "avg_pool_backward": _avg_pool_backward,
    }
    return Subject("tinygrad", translate.functions(tinygrad, kinds), Claims(epilogue="separate"), SCOPE)


def flat(pairs: Pairs) -> tuple[int, ...]:
    """Pairs, outermost axis first, as tinygrad has them.

    >>> flat(((1, 2), (3, 4)))
    (3, 4, 1, 2)
    """
    return tuple(p for pair in reversed(pairs) for p in pair)


def _conv(tg: Any, input: Array, weight: Array, bias: Array | None = None, **arguments: Any) -> Array:
    spec = translate.conv(input, weight, **arguments)
    return _back(tg, _convolved(_given(tg, input), _given(tg, weight), _given(tg, bias), spec=spec))


def _conv_backward(tg: Any, grad_output: Array, input: Array, weight: Array, **arguments: Any) -> tuple[Array, ...]:
    spec = translate.conv(input, weight, **arguments)
    leaves = [_given(tg, a) for a in (input, weight, np.zeros(weight.shape[0], weight.dtype))]
    return _gradients(tg, _convolved(*leaves, spec=spec), leaves, grad_output)


def _convolved(x: Any, w: Any, b: Any, *, spec: ConvSpec) -> Any:
    return x.conv2d(w, b, spec.groups, spec.stride, spec.dilation, flat(spec.padding))


def _conv_transpose(tg: Any, input: Array, weight: Array, bias: Array | None = None, **arguments: Any) -> Array:
    spec, extra = translate.transposed(input, weight, **arguments)
    size = spec.transposed_output_size(input.shape[2:], weight.shape[2:], extra)
    padding, first = tuple(min(pair) for pair in spec.padding), tuple(max(0, a - b) for a, b in spec.padding)
    x, w, b = (_given(tg, a) for a in (input, weight, bias))
    y = x.conv_transpose2d(w, b, spec.groups, spec.stride, spec.dilation, padding, extra)
    return translate.cut(_back(tg, y), first, size)


def _max_pool(tg: Any, input: Array, **arguments: Any) -> Array:
    return _back(tg, _maxima(_given(tg, input), translate.window(input, **arguments)))


def _max_pool_backward(tg: Any, grad_output: Array, input: Array, **arguments: Any) -> Array:
    x = _given(tg, input)
    return _gradients(tg, _maxima(x, translate.window(input, **arguments)), [x], grad_output)[0]


def _maxima(x: Any, spec: PoolSpec) -> Any:
    return x.max_pool2d(spec.kernel_size, spec.stride, spec.dilation, flat(spec.padding), spec.ceil_mode)


def _avg_pool(tg: Any, input: Array, **arguments: Any) -> Array:
    return _back(tg, _averages(_given(tg, input), translate.window(input, **arguments)))


def _avg_pool_backward(tg: Any, grad_output: Array, input: Array, **arguments: Any) -> Array:
    x = _given(tg, input)
    return _gradients(tg, _averages(x, translate.window(input, **arguments)), [x], grad_output)[0]


def _averages(x: Any, spec: PoolSpec) -> Any:
    return x.avg_pool2d(spec.kernel_size, spec.stride, 1, flat(spec.padding), spec.ceil_mode, spec.count_include_pad)


# ---------------------------------------------------------------------------------------------------- arrays


def _given(tg: Any, a: Array | None) -> Any:
    if a is None:
        return None
    a = np.ascontiguousarray(a)
    if a.dtype.name == "bfloat16":
        return tg.Tensor(a.view(np.uint16), device="CPU").bitcast(tg.dtypes.bfloat16).realize()
    return tg.Tensor(a.copy(), device="CPU")  # which keeps what it is given


def _back(tg: Any, y: Any) -> Array:
    if y.dtype == tg.dtypes.bfloat16:
        return np.array(y.bitcast(tg.dtypes.uint16).numpy()).view(numpy_dtype("bfloat16"))
    return np.array(y.numpy())


def _gradients(tg: Any, y: Any, leaves: list[Any], grad_output: Array) -> tuple[Array, ...]:
    gradients = y.gradient(*leaves, gradient=_given(tg, grad_output))
    return tuple(_back(tg, g) for g in gradients)
