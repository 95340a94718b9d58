"""Other implementations of a workload's forward call: each as a function without arguments, or NotImplementedError."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np

from refconv.workloads import Workload

Operands = dict[str, np.ndarray]


class _Geometry:
    """A workload's arguments, one for each spatial axis, in the ways that libraries name them."""

    def __init__(self, workload: Workload) -> None:
        rank = len(workload.shapes["input"]) - 2
        a = workload.arguments
        self.kernel = workload.kernel_size
        self.pool, self.transposed = "pool" in workload.operation, "transpose" in workload.operation
        self.stride = (a.get("stride") or (self.kernel[0] if self.pool else 1),) * rank
        self.dilation = (a.get("dilation", 1),) * rank
        self.padding, self.groups = a.get("padding", 0), a.get("groups", 1)
        self.pairs = [(self.padding, self.padding)] * rank
        self.window = {
            "window_dimensions": (1, 1, *self.kernel),
            "window_strides": (1, 1, *self.stride),
            "padding": [(0, 0), (0, 0), *self.pairs],
        }


def _flipped(w: np.ndarray) -> np.ndarray:
    """The kernel of the convolution of a stretched input that a transposed one is."""
    return np.ascontiguousarray(np.flip(np.swapaxes(w, 0, 1), tuple(range(2, w.ndim))))


def torch(workload: Workload, operands: Operands) -> Callable[[], Any]:
    import torch

    function = getattr(torch.nn.functional, workload.operation)
    tensors = [torch.from_numpy(a) for a in operands.values()]
    return lambda: function(*tensors, **workload.arguments)


def jax(workload: Workload, operands: Operands) -> Callable[[], Any]:
    """Compiled for the call; the compilation is not timed."""
    import jax
    from jax import lax

    jax.config.update("jax_enable_x64", True)
    g = _Geometry(workload)
    if g.pool:
        start, combine = (-np.inf, lax.max) if "max" in workload.operation else (0.0, lax.add)
        count = 1 if combine is lax.max else int(np.prod(g.kernel))

        def call(x: Any) -> Any:
            return lax.reduce_window(x, np.array(start, x.dtype), combine, **g.window) / np.array(count, x.dtype)
    elif g.transposed:
        padding = [(k - 1 - g.padding,) * 2 for k in g.kernel]

        def call(x: Any, w: Any) -> Any:
            return lax.conv_general_dilated(x, w, (1,) * len(g.kernel), padding, lhs_dilation=g.stride)
    else:

        def call(x: Any, w: Any) -> Any:
            how = {"rhs_dilation": g.dilation, "feature_group_count": g.groups}
            return lax.conv_general_dilated(x, w, g.stride, g.pairs, **how)

    arrays = [jax.numpy.asarray(_flipped(a) if g.transposed and n == "weight" else a) for n, a in operands.items()]
    compiled = jax.jit(call)
    return lambda: compiled(*arrays).block_until_ready()


def jax_reference(workload: Workload, operands: Operands) -> Callable[[], Any]:
    """`jax._src.lax_reference`, in NumPy."""
    from jax._src import lax_reference

    g = _Geometry(workload)
    if g.groups > 1:
        raise NotImplementedError("has no groups")
    x, ones = operands["input"], (1,) * len(g.kernel)
    if g.pool:
        most = "max" in workload.operation
        start = np.array(-np.inf if most else 0, x.dtype)
        combine, count = (lax_reference.max, 1) if most else (lax_reference.add, int(np.prod(g.kernel)))
        how = {**g.window, "base_dilation": None}
        return lambda: lax_reference.reduce_window(x, start, combine, **how) / x.dtype.type(count)
    conv = lax_reference.conv_with_general_padding
    if g.transposed:
        w, padding = _flipped(operands["weight"]), [(k - 1 - g.padding,) * 2 for k in g.kernel]
        return lambda: conv(x, w, ones, padding, g.stride, ones)
    return lambda: conv(x, operands["weight"], g.stride, g.pairs, ones, g.dilation)


def _model(workload: Workload) -> Any:
    import onnx
    from onnx import helper

    g = _Geometry(workload)
    names = {"conv": "Conv", "conv_transpose": "ConvTranspose", "max_pool": "MaxPool", "avg_pool": "AveragePool"}
    kind = names[workload.operation.rstrip("123d").rstrip("123")]
    how: dict[str, Any] = {"kernel_shape": g.kernel, "strides": g.stride, "pads": [g.padding] * (2 * len(g.kernel))}
    if kind == "AveragePool":
        how["count_include_pad"] = 1
    elif kind.startswith("Conv"):
        how |= {"dilations": g.dilation, "group": g.groups}
    number = getattr(onnx.TensorProto, {"float32": "FLOAT", "float64": "DOUBLE"}[workload.dtype])
    given = [helper.make_tensor_value_info(name, number, shape) for name, shape in workload.shapes.items()]
    out = helper.make_tensor_value_info("output", number, workload.output)
    node = helper.make_node(kind, list(workload.shapes), ["output"], **how)
    graph = helper.make_graph([node], "layer", given, [out])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=9)


def onnx_reference(workload: Workload, operands: Operands) -> Callable[[], Any]:
    from onnx.reference import ReferenceEvaluator

    session = ReferenceEvaluator(_model(workload))
    return lambda: session.run(None, operands)[0]


def onnxruntime(workload: Workload, operands: Operands) -> Callable[[], Any]:
    import os

    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ["OMP_NUM_THREADS"])
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # it is not alone
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(_model(workload).SerializeToString(), options)
    except Exception as error:
        raise NotImplementedError(str(error)) from None
    return lambda: session.run(None, operands)[0]


def scipy(workload: Workload, operands: Operands) -> Callable[[], Any]:
    """`scipy.signal.correlate`, which chooses between sums and transforms, where it gives an output channel at once."""
    from scipy.signal import correlate

    g = _Geometry(workload)
    plain = not g.pool and not g.transposed and {*g.stride, *g.dilation} == {1} and g.groups == 1
    if not plain or workload.shapes["input"][1] != 1:
        raise NotImplementedError("one channel, stride 1 and dilation 1 only")
    x, w = operands["input"], operands["weight"]

    def call() -> np.ndarray:
        padded = np.pad(x, [(0, 0), (0, 0), *g.pairs]) if g.padding else x
        out = np.empty(workload.output, x.dtype)
        for n, k in itertools.product(range(len(x)), range(len(w))):
            out[n, k] = correlate(padded[n, 0], w[k, 0], mode="valid")
        return out

    return call


OTHERS = {
    "torch": torch,
    "jax.lax": jax,
    "jax lax_reference": jax_reference,
    "onnx reference": onnx_reference,
    "onnxruntime": onnxruntime,
    "scipy.signal": scipy,
}
NEEDS = {"torch": "torch", "jax.lax": "jax", "jax lax_reference": "jax", "onnx reference": "onnx"}
NEEDS |= {"onnxruntime": "onnxruntime", "scipy.signal": "scipy"}
