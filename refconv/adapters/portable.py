"""The references of `refconv.portable` as subjects: the very same code on the arrays of each library.

NumPy's arrays have references of their own, so for them the portable ones are called by their names. XLA's comparisons
on the CPU take subnormal numbers for zero, so that JAX's maxima do not meet the claim `subnormals=ieee`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

import refconv
from refconv import convolution, pooling, portable, signal
from refconv.adapters import references
from refconv.features import Scope
from refconv.spec import OPERATIONS, Operation, pool_spec
from refconv.subject import Subject

Call = Callable[..., Any]  # of a function, on operands

WAYS: Mapping[str, Mapping[str, Any]] = {
    **dict.fromkeys(("conv", "conv_transpose", "conv_backward"), portable.CONV),
    **dict.fromkeys(("convolve", "correlate"), portable.SIGNAL),
    "max_pool": portable.MAX_POOL,
    "avg_pool": portable.AVG_POOL,
    "max_pool_backward": portable.MAX_POOL_BACKWARD,
    "avg_pool_backward": portable.AVG_POOL_BACKWARD,
}
_POOLS: Mapping[str, tuple[Callable[..., Any], bool]] = {  # and whether of integers too
    "max_pool": (pooling.forward_on, True),
    "avg_pool": (pooling.forward_on, False),
    "max_pool_backward": (pooling.backward_on, True),
    "avg_pool_backward": (pooling.backward_on, False),
}
_DOORS: Mapping[str, Callable[..., Any]] = {
    "conv": partial(convolution.conv_on, padding_mode="zeros"),
    "conv_transpose": convolution.conv_transpose_on,
    "conv_backward": convolution.conv_backward_on,
}


def subject(library: str, way: str = "auto") -> Subject:
    """Every operation that has the method, `auto` all of them, on arrays of "numpy", "torch", "jax" or "strict"."""
    offered = [op for op in OPERATIONS.values() if way == "auto" or way in WAYS[op.kind]]
    call = _CALLS[library]()
    function = _own if library == "numpy" else _public
    functions: dict[str, Callable[..., Any]] = {op.name: partial(call, partial(function, op, way)) for op in offered}
    name = f"portable-{library}" if way == "auto" else f"portable-{way}-{library}"
    array = "torch" if library == "torch" else "numpy"
    return Subject(name, functions, scope=Scope(pairs=True), array=array, claim_for=partial(references.claim, way))


def _public(op: Operation, way: str, *operands: Any, **arguments: Any) -> Any:
    return getattr(refconv, op.name)(*operands, **arguments, method=way)


def _own(op: Operation, way: str, *operands: Any, **arguments: Any) -> Any:
    """What the public function does with arrays of other libraries, done with NumPy's."""
    import array_api_compat.numpy as xp

    settings = {**op.arguments, **arguments}
    if op.rank == 0:
        in1, in2 = operands
        return signal.convolve_on(xp, in1, in2, settings["mode"], way, correlated=op.name == "correlate")
    if op.kind in _POOLS:
        door, integers = _POOLS[op.kind]
        return door(xp, WAYS[op.kind], integers, way, *operands, pool_spec(op.rank, **settings))
    given = {**dict.fromkeys(op.operands), **dict(zip(op.operands, operands, strict=False))}
    return _DOORS[op.kind](xp, op.rank, **given, **settings, method=way)


def _as_given() -> Call:
    """NumPy's arrays; and PyTorch's, which a subject gets where it says so."""
    return lambda function, *operands, **arguments: function(*operands, **arguments)


def _strict() -> Call:
    """Every array made one of the standard's, and back."""
    import array_api_strict

    def call(function: Callable[..., Any], *operands: Any, **arguments: Any) -> Any:
        if operands[0].dtype.name in ("float16", "bfloat16"):
            raise NotImplementedError(f"array-api-strict has no {operands[0].dtype.name}")
        given = (None if a is None else array_api_strict.asarray(a) for a in operands)
        return _numpy(function(*given, **arguments))

    return call


def _jax() -> Call:
    """Compiled as a whole, which takes less time than to compile each of its steps; doubles have to be asked for."""
    import jax

    jax.config.update("jax_enable_x64", True)  # for the whole process
    return lambda function, *operands, **arguments: _numpy(jax.jit(partial(function, **arguments))(*operands))


def _numpy(results: Any) -> Any:
    return tuple(map(np.asarray, results)) if isinstance(results, tuple) else np.asarray(results)


_CALLS: Mapping[str, Callable[[], Call]] = {"numpy": _as_given, "torch": _as_given, "jax": _jax, "strict": _strict}
