"""ONNX Runtime's CPU provider on the models of `onnx_models`, with one thread.

Max pooling drops a NaN where its window holds a number, which ONNX leaves open: claimed. There is no convolution in
float64, and no bfloat16 or float16 at all on most CPUs: such models are declined, and float32 is what is drawn unless
another dtype is asked for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from refconv.adapters.onnx_models import SCOPE, functions
from refconv.claims import Claims
from refconv.dtypes import Array
from refconv.subject import Subject


def subject() -> Subject:
    """conv, transposed conv, max and average pooling in one to three dimensions."""
    scope = replace(SCOPE, dtypes=("float32",))
    return Subject("onnxruntime", functions(_run), Claims(nan_max="drop"), scope=scope)


def _run(model: bytes) -> Callable[[dict[str, Array]], Array]:
    import onnxruntime
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    try:
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except errors.NotImplemented as error:  # no kernel for the operator and dtype
        raise NotImplementedError(str(error)) from None

    def run(feeds: dict[str, Array]) -> Array:
        try:
            results: Any = session.run(["output"], feeds)
        except (errors.InvalidArgument, errors.Fail, errors.RuntimeException, errors.NotImplemented) as error:
            raise RuntimeError(str(error)) from None  # a refusal, if it does not depend on the data
        output: Array = results[0]
        return output

    return run
