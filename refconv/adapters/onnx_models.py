"""The one-node ONNX model that says a call, for whoever runs ONNX.

Opset 22. Weights are laid out as ours, transposed convolution's with in-channels first. `pads` lists all begins, then
all ends, outermost axis first; `SAME_UPPER` puts the odd element after. `AveragePool` leaves the padding out of the
count unless told otherwise. Weights are inputs of the model, not constants. ONNX has no gradients and no `convolve`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any, Protocol

import numpy as np

from refconv.dtypes import Array
from refconv.features import Scope
from refconv.spec import KINDS, OPERATIONS, conv_spec, pool_spec, transposed_spec

__all__ = ["OPSET", "SCOPE", "Run", "functions"]

OPSET, IR = 22, 10  # of those that bfloat16 convolutions need, the oldest
SCOPE = Scope(pairs=True)
NODES = {"conv": "Conv", "conv_transpose": "ConvTranspose", "max_pool": "MaxPool", "avg_pool": "AveragePool"}

Feeds = dict[str, Array]


class Run(Protocol):
    """Runs a model: makes, of its bytes, a function from inputs by name to the output."""

    def __call__(self, model: bytes) -> Callable[[Feeds], Array]: ...


def functions(run: Run) -> dict[str, Callable[..., Array]]:
    """Every operation that one node says, each model made ready once."""
    ready = lru_cache(maxsize=256)(lambda *key: run(_model(*key)))
    return {op.name: partial(_call, ready, op.name) for kind in NODES for op in KINDS[kind]}


def _call(ready: Callable[..., Callable[[Feeds], Array]], name: str, *operands: Any, **given: Any) -> Array:
    op = OPERATIONS[name]
    feeds = {n: a for n, a in zip(op.operands, operands, strict=False) if a is not None}
    shapes = tuple((n, a.dtype.name, a.shape) for n, a in feeds.items())
    arguments = tuple((n, tuple(v) if isinstance(v, list) else v) for n, v in sorted(given.items()))
    return ready(name, shapes, arguments)({n: np.ascontiguousarray(a) for n, a in feeds.items()})


def _model(name: str, shapes: tuple[tuple[str, str, tuple[int, ...]], ...], arguments: tuple[Any, ...]) -> bytes:
    from onnx import checker, helper

    op = OPERATIONS[name]
    given, sizes = dict(arguments), {n: shape for n, _, shape in shapes}
    attributes = _ATTRIBUTES[op.kind](op.rank, sizes, given)
    node = helper.make_node(NODES[op.kind], list(sizes), ["output"], **attributes)
    of = _element(shapes[0][1])
    inputs = [helper.make_tensor_value_info(n, of, shape) for n, shape in sizes.items()]
    output = helper.make_tensor_value_info("output", of, [None] * (op.rank + 2))
    graph = helper.make_graph([node], name, inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)
    checker.check_model(model)
    made: bytes = model.SerializeToString()
    return made


def _element(dtype: str) -> int:
    """ONNX's number of an element type."""
    from onnx import TensorProto

    names = {"float32": "FLOAT", "float64": "DOUBLE", "float16": "FLOAT16", "bfloat16": "BFLOAT16"}
    if dtype not in names:
        raise NotImplementedError(f"no convolution or pooling of {dtype} in opset {OPSET}")
    return int(TensorProto.DataType.Value(names[dtype]))


def _window(spec: Any) -> dict[str, Any]:
    pads = [a for a, _ in spec.padding] + [b for _, b in spec.padding]
    return {"strides": spec.stride, "pads": pads, "dilations": spec.dilation}


def _conv(rank: int, sizes: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    kernel, padding = sizes["weight"][2:], given.get("padding", 0)
    spec = conv_spec(rank, kernel, **given)
    out = {"kernel_shape": kernel, "group": spec.groups, **_window(spec)}
    if isinstance(padding, str) and all(d == 1 for d in spec.dilation):  # which runtimes may refuse there
        del out["pads"]
        out["auto_pad"] = {"same": "SAME_UPPER", "same_lower": "SAME_LOWER", "valid": "VALID"}[padding]
    return out


def _conv_transpose(rank: int, sizes: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    spec, extra = transposed_spec(rank, **given)
    return {"kernel_shape": sizes["weight"][2:], "group": spec.groups, "output_padding": extra, **_window(spec)}


def _max_pool(rank: int, sizes: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    spec = pool_spec(rank, **given)
    return {"kernel_shape": spec.kernel_size, "ceil_mode": int(spec.ceil_mode), **_window(spec)}


def _avg_pool(rank: int, sizes: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
    spec = pool_spec(rank, **given)
    return {**_max_pool(rank, sizes, given), "count_include_pad": int(spec.count_include_pad)}


_ATTRIBUTES: dict[str, Callable[[int, dict[str, Any], dict[str, Any]], dict[str, Any]]] = {
    "conv": _conv,
    "conv_transpose": _conv_transpose,
    "max_pool": _max_pool,
    "avg_pool": _avg_pool,
}
