"""TensorFlow on the CPU: tf.nn's convolutions and poolings, gradients by tf.GradientTape.

Conventions translated. Arrays are N, ..., C and weights ..., I, O; those of a transposed convolution ..., O, I. Groups
are not said: they follow from the channels of input and weight. Padding is VALID, or SAME where that rule gives the
pairs asked for, or a list of pairs where the operation takes one (conv2d, conv2d_transpose, max_pool1d, max_pool2d);
elsewhere zeros (for maxima, minus infinity) are written beside the input by tf.pad. A transposed convolution names the
size of its output; what padding takes away is cut off. Poolings have no ceil mode: padding makes its windows. An
average under SAME divides by the cells of the input, under VALID by the kernel. Dilated maxima are tf.nn.pool's.

TensorFlow offers float32, float64, float16 and bfloat16. Claims: the bias is added after rounding (tf.nn.bias_add).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import numpy as np

from refconv.adapters import translate
from refconv.claims import Claims
from refconv.dtypes import Array
from refconv.features import Scope
from refconv.spec import ConvSpec, Pairs, PoolSpec, Sizes
from refconv.subject import Subject

SCOPE = Scope(pairs=True)


def subject() -> Subject:
    """Convolutions, poolings and their gradients in one to three dimensions."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # it would print a banner
    import tensorflow as tf

    tf.config.set_visible_devices([], "GPU")
    kinds: translate.Kinds = {
        "conv": _conv,
        "conv_backward": _conv_backward,
        "conv_transpose": _conv_transpose,
        "max_pool": _max_pool,
        "max_pool_backward": _max_pool_backward,
        "avg_pool": _avg_pool,
        "avg_pool_backward": _avg_pool_backward,
    }
    return Subject("tensorflow", translate.functions(tf, kinds), Claims(epilogue="separate"), SCOPE)


def _conv(tf: Any, input: Array, weight: Array, bias: Array | None = None, **arguments: Any) -> Array:
    spec = translate.conv(input, weight, **arguments)
    x, w = translate.channels_last(input), translate.weight_last(weight)
    return translate.channels_first(_asked(tf, _convolved, tf, x, w, bias, spec).numpy())


def _conv_backward(tf: Any, grad_output: Array, input: Array, weight: Array, **arguments: Any) -> tuple[Array, ...]:
    spec = translate.conv(input, weight, **arguments)
    given = [translate.channels_last(input), translate.weight_last(weight), _zero_bias(tf, weight)]
    grads = _asked(tf, _gradients, tf, lambda x, w, b: _convolved(tf, x, w, b, spec), given, grad_output)
    dx, dw, db = (g.numpy() for g in grads)
    return translate.channels_first(dx), dw.transpose(dw.ndim - 1, dw.ndim - 2, *range(dw.ndim - 2)), db


def _zero_bias(tf: Any, weight: Array) -> Any:
    return tf.zeros(weight.shape[0], weight.dtype)


def _conv_transpose(tf: Any, input: Array, weight: Array, bias: Array | None = None, **arguments: Any) -> Array:
    spec, extra = translate.transposed(input, weight, **arguments)
    if any(o >= s for o, s in zip(extra, spec.stride, strict=True)):
        raise NotImplementedError("an output that would belong to a longer input is none of TensorFlow's")
    size = spec.transposed_output_size(input.shape[2:], weight.shape[2:], extra)
    whole = translate.transposed_size(input, weight, spec)
    pairs = spec.padding
    padding: Any = [(0, 0), *pairs, (0, 0)]
    first, asked = (0,) * spec.rank, size
    if spec.rank != 2 or not any(map(any, pairs)):
        first, padding = tuple(a for a, _ in pairs), "VALID"
        asked = tuple(max(n, a + m) for n, m, a in zip(whole, size, first, strict=True))
    shape = [input.shape[0], *asked, weight.shape[1] * spec.groups]
    x, w = translate.channels_last(input), translate.weight_last(weight)
    y = _asked(tf, _transposed, tf, x, w, bias, spec, shape, padding)
    return translate.cut(translate.channels_first(y.numpy()), first, size)


def _max_pool(tf: Any, input: Array, **arguments: Any) -> Array:
    spec = translate.window(input, **arguments)
    y = _asked(tf, _maxima, tf, translate.channels_last(input), spec)
    return translate.channels_first(y.numpy())


def _max_pool_backward(tf: Any, grad_output: Array, input: Array, **arguments: Any) -> Array:
    spec = translate.window(input, **arguments)
    given = [translate.channels_last(input)]
    return translate.channels_first(
        _asked(tf, _gradients, tf, lambda x: _maxima(tf, x, spec), given, grad_output)[0].numpy()
    )


def _avg_pool(tf: Any, input: Array, **arguments: Any) -> Array:
    spec = translate.window(input, **arguments)
    return translate.channels_first(_asked(tf, _averages, tf, translate.channels_last(input), spec).numpy())


def _avg_pool_backward(tf: Any, grad_output: Array, input: Array, **arguments: Any) -> Array:
    spec = translate.window(input, **arguments)
    given = [translate.channels_last(input)]
    return translate.channels_first(
        _asked(tf, _gradients, tf, lambda x: _averages(tf, x, spec), given, grad_output)[0].numpy()
    )


# -------------------------------------------------------------------------------------- in TensorFlow's words


def _asked(tf: Any, function: Callable[..., Any], *operands: Any) -> Any:
    """A call with tensors (max_pool2d would take float64 arrays for float32), whose refusals are Python's."""
    given = [tf.convert_to_tensor(a) if isinstance(a, np.ndarray) else a for a in operands]
    try:
        return function(*given)
    except (tf.errors.UnimplementedError, tf.errors.NotFoundError) as error:
        raise NotImplementedError(_said(error)) from None
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(_said(error)) from None


def _said(error: Any) -> str:
    """What TensorFlow says, without the names of its nodes."""
    return str(error.message).rpartition("}} ")[2].partition(" [Op:")[0]


def _convolved(tf: Any, x: Any, w: Any, bias: Any, spec: ConvSpec) -> Any:
    extent = spec.extent(tuple(w.shape[:-2]))
    x, padding = _padded(tf, x, spec.padding, extent, spec.stride, listed=spec.rank == 2)
    function = getattr(tf.nn, f"conv{spec.rank}d")
    y = function(x, w, [1, *spec.stride, 1], padding, dilations=[1, *spec.dilation, 1])
    return y if bias is None else tf.nn.bias_add(y, bias)


def _transposed(tf: Any, x: Any, w: Any, bias: Any, spec: ConvSpec, shape: list[int], padding: Any) -> Any:
    function = getattr(tf.nn, f"conv{spec.rank}d_transpose")
    y = function(x, w, shape, [1, *spec.stride, 1], padding, dilations=[1, *spec.dilation, 1])
    return y if bias is None else tf.nn.bias_add(y, bias)


def _maxima(tf: Any, x: Any, spec: PoolSpec) -> Any:
    pairs = translate.pads_beside_windows(spec, tuple(x.shape[1:-1]))
    dilated = any(d > 1 for d in spec.dilation)
    x, padding = _padded(tf, x, pairs, spec.extent, spec.stride, spec.rank < 3 and not dilated, -float("inf"))
    if not dilated:
        function = getattr(tf.nn, f"max_pool{spec.rank}d")
        return function(x, [1, *spec.kernel_size, 1], [1, *spec.stride, 1], padding)
    return tf.nn.pool(x, spec.kernel_size, "MAX", spec.stride, padding, dilations=spec.dilation)


def _averages(tf: Any, x: Any, spec: PoolSpec) -> Any:
    size = tuple(x.shape[1:-1])
    pairs, padding = translate.pads_beside_windows(spec, size), "VALID"
    if translate.zeros_count(spec, size):
        x = tf.pad(x, [(0, 0), *pairs, (0, 0)])
    elif not spec.count_include_pad and pairs == translate.same_pads(size, spec.extent, spec.stride):
        padding = "SAME"
    else:
        raise NotImplementedError("averages over part of a window are those of SAME only")
    return getattr(tf.nn, f"avg_pool{spec.rank}d")(x, [1, *spec.kernel_size, 1], [1, *spec.stride, 1], padding)


def _padded(
    tf: Any, x: Any, pairs: Pairs, extent: Sizes, stride: Sizes, listed: bool, value: float = 0.0
) -> tuple[Any, Any]:
    """The input with what must lie beside it, and the padding that is left to the operation."""
    if not any(map(any, pairs)):
        return x, "VALID"
    if pairs == translate.same_pads(tuple(x.shape[1:-1]), extent, stride):
        return x, "SAME"
    around = [(0, 0), *pairs, (0, 0)]
    return (x, around) if listed else (tf.pad(x, around, constant_values=tf.constant(value, x.dtype)), "VALID")


def _gradients(tf: Any, function: Callable[..., Any], given: list[Any], grad_output: Array) -> Any:
    operands = [tf.convert_to_tensor(a) for a in given]
    with tf.GradientTape() as tape:
        tape.watch(operands)
        y = function(*operands)
    return tape.gradient(y, operands, tf.convert_to_tensor(translate.channels_last(grad_output)))
