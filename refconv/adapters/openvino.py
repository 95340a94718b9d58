"""OpenVINO's CPU plugin: a model of one operation for each kind of call, kept and asked again.

Conventions translated. Arrays are N, C, ... and weights O, I, ...; weights in groups have an axis more in front, G, O /
G, I / G, ..., those of a transposed convolution G, I / G, O / G, .... Padding is two lists, all begins and all ends.
Ceil mode is `ceil_torch`, which keeps no window that starts beyond the input, and `exclude_pad` is PyTorch's
`count_include_pad=False`. There is no bias: a node Add follows. No gradients.

Claims: the inference precision hint is float32, so that sums are carried in float32 on any machine, float16 and
bfloat16 operands widened first. float64 is declined: the plugin computes it in float32. The bias is added after
rounding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np

from refconv.adapters import translate
from refconv.claims import Claims
from refconv.dtypes import Array
from refconv.features import Scope
from refconv.subject import Subject

SCOPE = Scope(dtypes=("float32",), pairs=True)


def subject() -> Subject:
    """Convolutions and poolings in one to three dimensions."""
    import openvino as ov
    import openvino.opset14 as ops

    ask = _Asked(ov)
    kinds: translate.Kinds = {
        "conv": _conv,
        "conv_transpose": _conv_transpose,
        "max_pool": _max_pool,
        "avg_pool": _avg_pool,
    }
    functions = translate.functions((ops, ask), kinds)
    return Subject("openvino", functions, Claims(epilogue="separate", accumulate="float32"), SCOPE)


class _Asked:
    """Compiles the model of a call once, and calls it."""

    def __init__(self, ov: Any) -> None:
        self.ov, self.core = ov, ov.Core()
        self.compiled = lru_cache(maxsize=64)(self._compiled)

    def __call__(self, operation: Callable[..., Any], *operands: Array | None, **arguments: Any) -> Array:
        given = [np.ascontiguousarray(a) for a in operands if a is not None]
        if given[0].dtype == np.float64:
            raise NotImplementedError("OpenVINO's CPU plugin computes float64 in float32")
        shapes = tuple((a.shape, a.dtype.name) for a in given)
        return np.array(self.compiled(operation, shapes, tuple(arguments.items()))(given)[0])

    def _compiled(self, operation: Callable[..., Any], shapes: tuple[Any, ...], arguments: tuple[Any, ...]) -> Any:
        import openvino.opset14 as ops

        named = {"float32": self.ov.Type.f32, "float16": self.ov.Type.f16, "bfloat16": self.ov.Type.bf16}
        nodes = [ops.parameter(list(shape), named[dtype]) for shape, dtype in shapes]
        made = operation(*nodes[:2], **{name: list(v) if isinstance(v, tuple) else v for name, v in arguments})
        if len(nodes) == 3:
            made = ops.add(made, nodes[2])
        hints = {"INFERENCE_PRECISION_HINT": self.ov.Type.f32, "INFERENCE_NUM_THREADS": 1}
        return self.core.compile_model(self.ov.Model([made], nodes), "CPU", hints)


def _sides(pairs: Any) -> dict[str, tuple[int, ...]]:
    return {"pads_begin": tuple(a for a, _ in pairs), "pads_end": tuple(b for _, b in pairs)}


def _beside_channels(bias: Array | None, rank: int) -> Array | None:
    return None if bias is None else bias.reshape(1, -1, *[1] * rank)


def grouped(w: Array, groups: int) -> Array:
    """The first axis split: G, O / G, I / G, ....

    >>> grouped(np.ones((4, 1, 3)), 2).shape
    (2, 2, 1, 3)
    """
    return w.reshape(groups, w.shape[0] // groups, *w.shape[1:])


def _conv(lib: Any, input: Array, weight: Array, bias: Array | None = None, **arguments: Any) -> Array:
    ops, ask = lib
    spec = translate.conv(input, weight, **arguments)
    w, operation = weight, ops.convolution
    if spec.groups > 1:
        w, operation = grouped(weight, spec.groups), ops.group_convolution
    b = _beside_channels(bias, spec.rank)
    y: Array = ask(operation, input, w, b, strides=spec.stride, dilations=spec.dilation, **_sides(spec.padding))
    return y


def _conv_transpose(lib: Any, input: Array, weight: Array, bias: Array | None = None, **arguments: Any) -> Array:
    ops, ask = lib
    spec, extra = translate.transposed(input, weight, **arguments)
    w, operation = weight, ops.convolution_backprop_data
    if spec.groups > 1:
        w, operation = grouped(weight, spec.groups), ops.group_convolution_backprop_data
    about = {"strides": spec.stride, "dilations": spec.dilation, "output_padding": extra, **_sides(spec.padding)}
    y: Array = ask(operation, input, w, _beside_channels(bias, spec.rank), **about)
    return y


def _rounding(ceil_mode: bool) -> str:
    return "ceil_torch" if ceil_mode else "floor"


def _max_pool(lib: Any, input: Array, **arguments: Any) -> Array:
    ops, ask = lib
    spec = translate.window(input, **arguments)
    about = {"strides": spec.stride, "dilations": spec.dilation, "kernel_shape": spec.kernel_size}
    y: Array = ask(ops.max_pool, input, rounding_type=_rounding(spec.ceil_mode), **about, **_sides(spec.padding))
    return y


def _avg_pool(lib: Any, input: Array, **arguments: Any) -> Array:
    ops, ask = lib
    spec = translate.window(input, **arguments)
    if any(map(any, spec.padding)) and spec.count_include_pad and not translate.zeros_count(spec, input.shape[2:]):
        raise NotImplementedError("AvgPool does not say whether cells count that ceil mode alone adds to padded input")
    about = {"strides": spec.stride, "kernel_shape": spec.kernel_size, "exclude_pad": not spec.count_include_pad}
    y: Array = ask(ops.avg_pool, input, rounding_type=_rounding(spec.ceil_mode), **about, **_sides(spec.padding))
    return y
