"""ONNX's reference evaluator, which is NumPy, on the models of `onnx_models`; all of their dtypes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from refconv.adapters.onnx_models import SCOPE, functions
from refconv.dtypes import Array
from refconv.subject import Subject


def subject() -> Subject:
    """conv, transposed conv, max and average pooling in one to three dimensions."""
    return Subject("onnx", functions(_run), scope=SCOPE)


def _run(model: bytes) -> Callable[[dict[str, Array]], Array]:
    import onnx
    from onnx.reference import ReferenceEvaluator

    evaluator = ReferenceEvaluator(onnx.load_model_from_string(model))

    def run(feeds: dict[str, Array]) -> Array:
        results: Any = evaluator.run(["output"], feeds)
        output: Array = results[0]
        return output

    return run
