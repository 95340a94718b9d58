"""keras.ops on the backend that Keras is set to: KERAS_BACKEND, or ~/.keras/keras.json, else TensorFlow.

Conventions translated. Arrays are N, ..., C and weights ..., I / groups, O; those of a transposed convolution are ...,
O, I. Groups are not said: they follow from the channels of input and weight. Padding is "valid", or "same" where
TensorFlow's rule gives the pairs asked for; else zeros (for maxima, minus infinity) are written beside the input. A
transposed convolution is "valid", and what padding takes away is cut off. Poolings have neither dilation nor ceil mode:
padding makes the windows; an average divides by the kernel under "valid", by the cells of the input under "same".
keras.ops derives no gradients.

Keras offers what its backend does. Claims: the bias is added after rounding (keras.ops.add).
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from refconv.adapters import translate
from refconv.claims import Claims
from refconv.dtypes import Array
from refconv.features import Scope
from refconv.spec import Pairs, PoolSpec, Sizes
from refconv.subject import Subject, TargetError

SCOPE = Scope(pairs=True)


def subject() -> Subject:
    """Convolutions and poolings in one to three dimensions."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")  # TensorFlow would print a banner
    try:
        import keras
    except ImportError as error:
        backend = os.environ.get("KERAS_BACKEND", "tensorflow")
        raise TargetError(f"target 'keras' needs its backend {backend!r}: pip install {backend} ({error})") from None
    kinds: translate.Kinds = {
        "conv": _conv,
        "conv_transpose": _conv_transpose,
        "max_pool": _max_pool,
        "avg_pool": _avg_pool,
    }
    return Subject("keras", translate.functions(keras, kinds), Claims(epilogue="separate"), SCOPE)


def _conv(keras: Any, input: Array, weight: Array, bias: Array | None = None, **arguments: Any) -> Array:
    spec = translate.conv(input, weight, **arguments)
    x, padding = _padded(input, spec.padding, spec.extent(weight.shape[2:]), spec.stride)
    y = _asked(
        keras, keras.ops.conv, x, translate.weight_last(weight), spec.stride, padding, "channels_last", spec.dilation
    )
    return _back(keras, y, bias)


def _conv_transpose(keras: Any, input: Array, weight: Array, bias: Array | None = None, **arguments: Any) -> Array:
    spec, extra = translate.transposed(input, weight, **arguments)
    if spec.groups > 1:
        raise NotImplementedError("keras.ops.conv_transpose has no groups")
    if any(o >= s for o, s in zip(extra, spec.stride, strict=True)):
        raise NotImplementedError("`output_padding` must be smaller than `strides`")
    size = spec.transposed_output_size(input.shape[2:], weight.shape[2:], extra)
    x, w = translate.channels_last(input), translate.weight_last(weight)
    y = _asked(keras, keras.ops.conv_transpose, x, w, spec.stride, "valid", extra, "channels_last", spec.dilation)
    return translate.cut(_back(keras, y, bias), tuple(a for a, _ in spec.padding), size)


def _max_pool(keras: Any, input: Array, **arguments: Any) -> Array:
    spec = _undilated(translate.window(input, **arguments))
    pairs = translate.pads_beside_windows(spec, input.shape[2:])
    x, padding = _padded(input, pairs, spec.extent, spec.stride, -np.inf)
    return _back(keras, _asked(keras, keras.ops.max_pool, x, spec.kernel_size, spec.stride, padding, "channels_last"))


def _avg_pool(keras: Any, input: Array, **arguments: Any) -> Array:
    spec, size = translate.window(input, **arguments), input.shape[2:]
    pairs, padding = translate.pads_beside_windows(spec, size), "valid"
    if translate.zeros_count(spec, size):
        x = _beside(input, pairs)
    elif not spec.count_include_pad and pairs == translate.same_pads(size, spec.extent, spec.stride):
        x, padding = translate.channels_last(input), "same"
    else:
        raise NotImplementedError("averages over part of a window are those of `same` only")
    return _back(
        keras, _asked(keras, keras.ops.average_pool, x, spec.kernel_size, spec.stride, padding, "channels_last")
    )


def _undilated(spec: PoolSpec) -> PoolSpec:
    if any(d > 1 for d in spec.dilation):
        raise NotImplementedError("Keras's poolings have no dilation")
    return spec


def _padded(x: Array, pairs: Pairs, extent: Sizes, stride: Sizes, value: float = 0.0) -> tuple[Array, str]:
    if any(map(any, pairs)) and pairs == translate.same_pads(x.shape[2:], extent, stride):
        return translate.channels_last(x), "same"
    return _beside(x, pairs, value), "valid"


def _beside(x: Array, pairs: Pairs, value: float = 0.0) -> Array:
    return np.pad(translate.channels_last(x), [(0, 0), *pairs, (0, 0)], constant_values=value)


def _asked(keras: Any, function: Any, *operands: Any) -> Any:
    """A call with tensors, as is documented; a backend's own way to refuse becomes Python's."""
    given = [keras.ops.convert_to_tensor(a) if isinstance(a, np.ndarray) else a for a in operands]
    try:
        return function(*given)
    except Exception as error:
        if type(error).__name__ in ("UnimplementedError", "NotFoundError"):
            raise NotImplementedError(str(error)) from None
        if type(error).__name__ == "InvalidArgumentError":
            raise ValueError(str(error)) from None
        raise


def _back(keras: Any, y: Any, bias: Array | None = None) -> Array:
    y = y if bias is None else keras.ops.add(y, bias)
    return translate.channels_first(np.array(keras.ops.convert_to_numpy(y)))
