"""refconv's own references as subjects, one for each method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

import refconv
from refconv.algorithms import ALGORITHMS, pooling, signal
from refconv.convolution import COMPUTED
from refconv.cost import fastest
from refconv.features import Scope
from refconv.spec import OPERATIONS, Case, Operation
from refconv.subject import Subject

_POOLING: Mapping[str, Mapping[str, Any]] = {
    "max_pool": pooling.MAX_POOL,
    "avg_pool": pooling.AVG_POOL,
    "max_pool_backward": pooling.MAX_POOL_BACKWARD,
    "avg_pool_backward": pooling.AVG_POOL_BACKWARD,
}


def subject(way: str) -> Subject:
    """Every operation that has the method, `auto` all of them."""
    functions: dict[str, Callable[..., Any]] = {
        name: partial(getattr(refconv, name), method=way) for name, op in OPERATIONS.items() if _offers(op, way)
    }
    name = "refconv" if way == "auto" else f"refconv-{way}"
    return Subject(name, functions, scope=Scope(pairs=True), claim_for=partial(claim, way))


def _offers(op: Operation, way: str) -> bool:
    if way == "auto":
        return True
    if op.rank == 0:
        return way in signal.CONVOLVE
    if op.kind in _POOLING:
        return way in _POOLING[op.kind]
    return way == "fastest" or way in ALGORITHMS


def claim(way: str, case: Case) -> str:
    """The error class that the registry states for this call."""
    op = case.operation
    if way == "auto" or op.kind in _POOLING:
        return "direct"
    if op.rank == 0:
        return str(signal.CONVOLVE[way].claim)
    x, w = (
        (case.shapes["output"] if op.kind == "conv_transpose" else case.operands["input"].shape),
        case.operands["weight"].shape,
    )
    sizes, dtype = (x[2:], w[2:]), np.dtype(COMPUTED[case.dtype])
    if way == "fastest":
        way = fastest(op.name, case.conv, (x, w), dtype)
    if ALGORITHMS[way].refuses(op.name, case.conv, *sizes, dtype):
        return "direct"
    return ALGORITHMS[way].claim(op.name, case.conv, *sizes)
