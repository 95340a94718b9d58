"""PyTorch's functional operations, run in other ways than by default; gradients by its automatic differentiation.

`channels-last`: two and three dimensions, operands converted to that memory format. `nomkldnn`: oneDNN is off for the
time of each call, forward and backward. `compile`: each function through `torch.compile`, a new kernel for each
shape, which takes seconds: judge it with `--timeout 120`. `nocudnn` and `cudnn-...`: cuDNN off, or in a mode of its
own, for `--device cuda`; TF32 is off in all modes but `cudnn-tf32`, which claims its rounding. They have not yet run on
a GPU.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cache, partial
from typing import Any

from refconv.claims import Claims
from refconv.spec import OPERATIONS
from refconv.subject import Subject, TargetError

Function = Callable[..., Any]
Flags = Callable[[], AbstractContextManager[Any]]


def subject(way: str) -> Subject:
    """conv, transposed conv, max and average pooling. Raises TargetError without what they need: to compile a C++
    compiler, for cuDNN a GPU."""
    import torch.nn.functional

    own = {name: f for name in OPERATIONS if (f := getattr(torch.nn.functional, name, None)) is not None}
    return Subject(f"torch-{way}", _WAYS[way](own), claims=_CLAIMS.get(way, Claims()), array="torch")


def _channels_last(own: dict[str, Function]) -> dict[str, Function]:
    return {name: partial(_converted, f) for name, f in own.items() if OPERATIONS[name].rank > 1}


def _converted(function: Function, *operands: Any, **arguments: Any) -> Any:
    import torch

    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    last = [a.contiguous(memory_format=formats[a.ndim]) if getattr(a, "ndim", 0) in formats else a for a in operands]
    return function(*last, **arguments)


def _without_onednn(own: dict[str, Function]) -> dict[str, Function]:
    import torch

    return _under(lambda: torch.backends.mkldnn.flags(enabled=False), own)


def _cudnn(mode: dict[str, bool], own: dict[str, Function]) -> dict[str, Function]:
    import torch

    if not torch.cuda.is_available():
        raise TargetError("targets 'torch-nocudnn' and 'torch-cudnn-...' need a CUDA device: PyTorch finds none")
    return _under(lambda: torch.backends.cudnn.flags(**{"enabled": True, "allow_tf32": False, **mode}), own)


def _under(flags: Flags, own: dict[str, Function]) -> dict[str, Function]:
    """Each call with flags set. The backward pass chooses its kernels when it is run: they must be set then too."""
    back = {f"{name}_backward": f for name, f in own.items() if f"{name}_backward" in OPERATIONS}
    gradients: dict[str, Function] = {name: partial(_differentiated, f, name) for name, f in back.items()}
    return {name: partial(_set, flags, f) for name, f in {**own, **gradients}.items()}


def _set(flags: Flags, function: Function, *operands: Any, **arguments: Any) -> Any:
    with flags():
        return function(*operands, **arguments)


def _differentiated(function: Function, name: str, *operands: Any, **arguments: Any) -> Any:
    operation = OPERATIONS[name]
    one = Subject("", {operation.forward: function}, array="torch")
    return one.derived(operation, list(operands), arguments)()


def _compiled(own: dict[str, Function]) -> dict[str, Function]:
    if not any(map(shutil.which, ("g++", "c++", "clang++"))):
        raise TargetError("target 'torch-compile' needs a C++ compiler: none of g++, c++, clang++ is on the path")
    return {name: partial(_inductor, f) for name, f in own.items()}


def _inductor(function: Function, *operands: Any, **arguments: Any) -> Any:
    return _compile(function)(*operands, **arguments)


@cache
def _compile(function: Function) -> Function:
    import torch
    from torch import _dynamo

    _dynamo.config.recompile_limit = _dynamo.config.accumulated_recompile_limit = 1 << 20  # or it would run uncompiled
    compiled: Function = torch.compile(function, dynamic=False, fullgraph=True)
    return compiled


_WAYS: dict[str, Callable[[dict[str, Function]], dict[str, Function]]] = {
    "channels-last": _channels_last,
    "compile": _compiled,
    "nomkldnn": _without_onednn,
    "nocudnn": partial(_cudnn, {"enabled": False}),
    "cudnn-benchmark": partial(_cudnn, {"benchmark": True}),
    "cudnn-deterministic": partial(_cudnn, {"deterministic": True}),
    "cudnn-tf32": partial(_cudnn, {"allow_tf32": True}),
}
_CLAIMS = {
    "cudnn-deterministic": Claims(deterministic=True),
    "cudnn-tf32": Claims(input_rounding="tf32", accumulate="tensor-core"),
}
