"""A layer with weights of its own, as the function that an operation is: each call loads its operands as the weights.

A layer is any callable object with `weight` (a convolution) or `kernel_size` (a pooling): a `torch.nn.Module`, or an
instance of a class on NumPy arrays. Its attributes, named as PyTorch's, say which calls it makes.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from refconv.spec import OPERATIONS, Operation, conv_spec, pool_spec, transposed_spec

__all__ = ["Layered", "as_function", "is_layer"]

# Attributes that no operation has, and the only value with which a layer is one.
PLAIN: Mapping[str, Any] = {"padding_mode": "zeros", "return_indices": False, "divisor_override": None}


class Layered(NamedTuple):
    """The operation that a layer is, a function called as one, and the arguments that the layer holds fast."""

    operation: str
    function: Callable[..., Any]
    held: dict[str, Any]


def is_layer(value: Any) -> bool:
    """Whether it is an object rather than a function, and has weights or a window.

    >>> is_layer(print), is_layer(type("Pool", (), {"kernel_size": 2, "__call__": max})())
    (False, True)
    """
    if not callable(value) or isinstance(value, type) or inspect.isroutine(value):
        return False
    return any(getattr(value, name, None) is not None for name in ("weight", "kernel_size"))


def as_function(layer: Any, name: str = "") -> Layered:
    """The layer as a function of (input, weight, bias, ...); `name` says the operation where its weights do not.

    Raises ValueError where it is none of the operations.
    """
    operation = _operation(layer, name)
    for attribute, plain in PLAIN.items():
        if (value := getattr(layer, attribute, plain)) != plain:
            raise ValueError(f"`{attribute}` of the layer is {value!r}, but must be {plain!r} to be judged")
    held = {argument: getattr(layer, argument, value) for argument, value in operation.arguments.items()}
    if "pool" in operation.kind:
        held["stride"] = held["kernel_size"] if held["stride"] is None else held["stride"]
        return Layered(operation.name, _pooling(layer, operation, held), held)
    held["padding"] = 0 if held["padding"] == "valid" else held["padding"]
    return Layered(operation.name, _convolution(layer, operation, dict(held)), held | _channels(layer, operation, held))


def _operation(layer: Any, name: str) -> Operation:
    shape = getattr(getattr(layer, "weight", None), "shape", None)
    rank = 0 if shape is None else len(shape) - 2
    if not name and rank in (1, 2, 3):
        name = f"conv{'_transpose' if getattr(layer, 'transposed', False) else ''}{rank}d"
    operation = OPERATIONS.get(name)
    if operation is None or operation.kind not in ("conv", "conv_transpose", "max_pool", "avg_pool"):
        raise ValueError(
            "the layer is none of the operations by its weights: write OPERATION=TARGET with a convolution or a pooling"
        )
    if "conv" in operation.kind and rank != operation.rank:
        got = "no `weight`" if shape is None else f"a `weight` of shape {tuple(shape)}"
        raise ValueError(f"the layer has {got}, but {operation.name} must have one of {operation.rank + 2} axes")
    return operation


def _channels(layer: Any, operation: Operation, held: Mapping[str, Any]) -> dict[str, Any]:
    first, second, *kernel = map(int, layer.weight.shape)
    second *= held["groups"]
    sides = (first, second) if operation.kind == "conv_transpose" else (second, first)
    return {"kernel_size": tuple(kernel), "in_channels": sides[0], "out_channels": sides[1]}


def _pooling(layer: Any, operation: Operation, held: Mapping[str, Any]) -> Callable[..., Any]:
    own = pool_spec(operation.rank, **held)

    def call(input: Any, *args: Any, **given: Any) -> Any:
        arguments = {**dict(zip(operation.arguments, args, strict=False)), **given}
        if pool_spec(operation.rank, **{**operation.arguments, **arguments}) != own:
            raise NotImplementedError(f"the layer holds fast {_listed(held)}")
        return layer(input)

    return call


def _convolution(layer: Any, operation: Operation, held: Mapping[str, Any]) -> Callable[..., Any]:
    """A call with another geometry or other channels than the layer's is not one of its calls."""
    kernel = tuple(layer.weight.shape[2:])

    def geometry(arguments: Mapping[str, Any]) -> Any:
        if operation.kind == "conv_transpose":
            return transposed_spec(operation.rank, **arguments)
        return conv_spec(operation.rank, kernel, **arguments)

    own, shape = geometry(held), tuple(layer.weight.shape)

    def call(input: Any, weight: Any, bias: Any = None, **given: Any) -> Any:
        if tuple(weight.shape) != shape or geometry({**operation.arguments, **given}) != own:
            raise NotImplementedError(f"the layer holds fast {_listed(held)} and the shape of its weight, {shape}")
        if getattr(layer, "bias", None) is not None:
            return _with(layer, {"weight": weight, "bias": _zeros(weight, layer.bias) if bias is None else bias}, input)
        if bias is not None and bias.any():
            raise NotImplementedError("the layer has no bias")
        output = _with(layer, {"weight": weight}, input)
        return output if bias is None else output + bias.reshape(-1, *(1,) * operation.rank)  # for its gradient

    return call


def _zeros(weight: Any, bias: Any) -> Any:
    """No bias, in the arrays of the weight."""
    return weight.new_zeros(len(bias)) if hasattr(weight, "new_zeros") else np.zeros(len(bias), weight.dtype)


def _with(layer: Any, weights: Mapping[str, Any], input: Any) -> Any:
    """The layer called with other weights, its own put back."""
    registered = getattr(layer, "named_parameters", None)
    if registered is not None and set(weights) <= {name for name, _ in registered()}:
        from torch.func import functional_call

        return functional_call(layer, dict(weights), (input,))  # gradients reach the weights so
    own = {name: getattr(layer, name) for name in weights}
    try:
        for name, value in weights.items():
            setattr(layer, name, value)
        return layer(input)
    finally:
        for name, value in own.items():
            setattr(layer, name, value)


def _listed(held: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in held.items())
