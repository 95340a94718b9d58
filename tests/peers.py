"""Judges the corpus of mutants by the rules of other checkers, each with its own inputs, and by refconv's laws.

python -m tests.peers [--write] [NAME ...]
"""

from __future__ import annotations

import argparse
import inspect
import platform
import re
import signal
import sys
import time
import types
import unittest
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from importlib.util import find_spec
from math import prod
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import scipy.signal
import torch
from torch.autograd.gradcheck import GradcheckError

from refconv.dtypes import numpy_dtype
from refconv.law import Effort
from refconv.options import PROFILES
from refconv.spec import OPERATIONS, Operation
from refconv.subject import Subject
from tests import score

PAGE = Path(__file__).parent.parent / "PEERS.md"
LIMIT = 20  # seconds of processor time for one mutant under one port
CLASSES = (
    "geometry",
    "indexing",
    "orientation",
    "bias",
    "groups",
    "gradients",
    "pooling",
    "memory",
    "precision",
    "state",
    "signal",
)
HALVES = ("float16", "bfloat16")


@dataclass(frozen=True)
class Trial:
    """One call and what the checker holds right; None for a result that it does not look at."""

    operation: Operation
    operands: tuple[Any, ...]
    arguments: dict[str, Any]
    expected: tuple[Any, ...]


@dataclass(frozen=True)
class Finding:
    """What one checker said of one mutant."""

    checker: str
    kind: str
    name: str
    label: str  # the class of a wrong one
    status: str  # convicted, accepted, not run
    reason: str
    seconds: float


class OutOfTime(BaseException):
    """The limit is over."""


class Guilty(Exception):
    """The checker says no."""


# --------------------------------------------------------------------------------- what others call the truth


def tensor(array: Any) -> torch.Tensor:
    array = np.array(array)
    if array.dtype == numpy_dtype("bfloat16"):
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def array_of(value: torch.Tensor) -> Any:
    value = value.detach()
    if value.dtype == torch.bfloat16:
        return value.view(torch.int16).numpy().view(numpy_dtype("bfloat16"))
    return value.numpy()


def by_torch(operation: Operation, operands: Sequence[Any], arguments: dict[str, Any]) -> tuple[Any, ...]:
    """PyTorch's results in the operands' dtype, gradients by its automatic differentiation."""
    function = getattr(torch.nn.functional, operation.forward)
    tensors = [tensor(a) for a in operands]
    if operation.name == operation.forward:
        return (array_of(function(*tensors, **arguments)),)
    grad_output, *leaves = tensors
    if operation.kind == "conv_backward":
        leaves.append(torch.zeros(leaves[1].shape[0], dtype=grad_output.dtype))
    leaves = [leaf.requires_grad_() for leaf in leaves]
    return tuple(map(array_of, torch.autograd.grad(function(*leaves, **arguments), leaves, grad_output)))


def truth(operation: Operation, operands: Sequence[Any], arguments: dict[str, Any]) -> tuple[Any, ...]:
    """The results in float64, rounded once to the operands' dtype."""
    dtype = operands[0].dtype
    wide = [a.astype(np.complex128 if a.dtype.kind == "c" else np.float64) for a in operands]
    if operation.rank == 0:
        function = getattr(scipy.signal, operation.name)
        return (function(*wide, method="direct", **arguments).astype(dtype),)
    return tuple(a.astype(dtype) for a in by_torch(operation, wide, arguments))


def within(a: Any, b: Any, absolute: float, relative: float) -> Any:
    """|a - b| <= absolute + relative |b|, or equal; no NaN agrees with anything."""
    a, b = (np.asarray(x, np.complex128 if np.iscomplexobj(x) else np.float64) for x in (a, b))
    with np.errstate(all="ignore"):
        return (a == b) | (np.isfinite(b) & (abs(a - b) <= absolute + relative * abs(b)))


# ------------------------------------------------------------------------------------------------- KernelBench
# src/kernelbench/eval.py:83-102 (tolerances), 727-848 (trials), KernelBench/level1; snapshot of 2026-03-05.
# Batch, channels, kernel and arguments are those of the numbered task, sizes of images are reduced, and so is the
# batch of task 50 (from 256). Of the tasks for an operation, the one that sets most of its arguments is taken.

TASKS: dict[str, tuple[int, tuple[int, ...], tuple[int, ...], bool, dict[str, Any]]] = {
    "conv1d": (76, (64, 64, 40), (128, 64, 3), False, {"stride": 3, "dilation": 4}),
    "conv2d": (50, (64, 3, 27, 27), (96, 3, 11, 11), True, {"stride": 4, "padding": 2}),
    "conv3d": (66, (8, 3, 6, 9, 12), (64, 3, 3, 5, 7), False, {}),
    "conv_transpose1d": (79, (16, 32, 20), (32, 64, 3), False, {"stride": 2, "padding": 1, "dilation": 2}),
    "conv_transpose2d": (
        75,
        (16, 32, 6, 7),
        (32, 16, 3, 5),
        False,
        {"stride": (2, 3), "padding": (1, 2), "dilation": (2, 1), "groups": 4},
    ),
    "conv_transpose3d": (
        72,
        (8, 32, 3, 4, 5),
        (32, 8, 3, 5, 7),
        False,
        {"stride": (2, 2, 2), "padding": (1, 2, 3), "output_padding": (1, 1, 1), "groups": 4},
    ),
    "max_pool1d": (41, (64, 192, 40), (), False, {"kernel_size": 8, "stride": 1, "padding": 4, "dilation": 3}),
    "max_pool2d": (42, (32, 64, 8, 8), (), False, {"kernel_size": 4, "stride": 1, "padding": 1, "dilation": 1}),
    "max_pool3d": (43, (16, 32, 7, 7, 7), (), False, {"kernel_size": 3, "stride": 2, "padding": 1, "dilation": 3}),
    "avg_pool1d": (44, (64, 128, 40), (), False, {"kernel_size": 8, "stride": 1, "padding": 4}),
    "avg_pool2d": (45, (16, 64, 23, 23), (), False, {"kernel_size": 11}),
    "avg_pool3d": (46, (16, 32, 5, 5, 9), (), False, {"kernel_size": 3, "stride": 2, "padding": 1}),
}


@cache
def task_trials(operation: Operation, dtype: str) -> list[Trial]:
    """Five inputs from [0, 1), one layer in PyTorch's initial state, compared with PyTorch in the same dtype."""
    _, shape, kernel, has_bias, arguments = TASKS[operation.name]
    rng = np.random.default_rng(42)
    bound = 1 / np.sqrt(prod(kernel[1:]))
    layer = [rng.uniform(-bound, bound, kernel)] if kernel else []
    layer += [rng.uniform(-bound, bound, kernel[0])] if has_bias else []
    layer = [a.astype(numpy_dtype(dtype)) for a in layer]
    trials = []
    for _ in range(5):
        operands = (rng.random(shape).astype(numpy_dtype(dtype)), *layer)
        trials.append(Trial(operation, operands, arguments, by_torch(operation, operands, arguments)))
    return trials


def tasks(operation: Operation, dtypes: Sequence[str]) -> Iterator[list[Trial]]:
    """In float32; in a half precision where that is all a subject is judged in."""
    for dtype in ["float32"] if "float32" in dtypes else [d for d in dtypes if d in HALVES]:
        if operation.name in TASKS:
            yield task_trials(operation, dtype)


def kernelbench(tolerance: Callable[[str], float]) -> Callable[[Any, Any], bool]:
    def agree(got: Any, expected: Any) -> bool:
        if got.shape != expected.shape or got.dtype != expected.dtype:  # PyTorch compares equal dtypes only
            return False
        size = tolerance(expected.dtype.name)
        return bool(within(expected, got, size, size).all())  # theirs is the first argument, the kernel's the second

    return agree


# --------------------------------------------------------------------------------------------------- PyTorch
# Samples: torch/testing/_internal/common_methods_invocations.py (sample_inputs_func of each operation); rule:
# torch/testing/_comparison.py:83-91 and assert_close; gradcheck: torch/autograd/gradcheck.py:1999-2006; version 2.13.


def op_infos() -> dict[str, Any]:
    """PyTorch's table of operations; its base class for tests is another package, of which nothing is needed here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if "expecttest" not in sys.modules and find_spec("expecttest") is None:
            stand_in = types.ModuleType("expecttest")
            vars(stand_in)["TestCase"] = unittest.TestCase
            sys.modules["expecttest"] = stand_in
        from torch.testing._internal.common_methods_invocations import op_db
    found = {o.name.rpartition(".")[2]: o for o in op_db if not o.variant_test_name}
    return {name: found[name] for name in OPERATIONS if name in found}


_POOL = {
    "max": ("kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    "avg": ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad"),
}


@cache
def samples(name: str, dtype: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """Operands and arguments of OpInfo's samples, as far as they can be said in refconv's signatures.

    Left out: operands without a batch axis, and the repetition with indices; `divisor_override` is dropped, and so
    is an empty stride, which is the default; a tuple of one number for several axes becomes the number.
    """
    torch.manual_seed(0)
    out = []
    for s in op_infos()[name].sample_inputs("cpu", getattr(torch, dtype), requires_grad=False):
        operands, arguments = [s.input], dict(s.kwargs)
        if "pool" in name:
            arguments |= dict(zip(_POOL[name[:3]], s.args, strict=False))
        else:
            operands += [a for a in s.args if a is not None]
        arguments.pop("divisor_override", None)
        rank = OPERATIONS[name].rank
        if arguments.pop("return_indices", False) or s.input.dim() != rank + 2:
            continue
        arguments = {k: v[0] if isinstance(v, tuple) and len(v) == 1 else v for k, v in arguments.items() if v != ()}
        out.append((tuple(array_of(a) for a in operands), arguments))
    return out


@cache
def sample_trials(operation: Operation, dtype: str) -> list[Trial]:
    """The forward operation's samples against PyTorch in the same dtype; gradients for a cotangent from [-9, 9]."""
    trials = []
    rng = np.random.default_rng(0)
    for operands, arguments in samples(operation.forward, dtype):
        if operation.name != operation.forward:
            (out,) = by_torch(OPERATIONS[operation.forward], operands, arguments)
            operands = (rng.uniform(-9, 9, out.shape).astype(out.dtype), *operands[:2])
        trials.append(Trial(operation, operands, arguments, by_torch(operation, operands, arguments)))
    return trials


def opinfo(operation: Operation, dtypes: Sequence[str]) -> Iterator[list[Trial]]:
    if operation.rank:
        yield from (sample_trials(operation, d) for d in dtypes)


def close_by_default(got: Any, expected: Any) -> bool:
    try:
        torch.testing.assert_close(tensor(got), tensor(expected))
    except AssertionError:
        return False
    return True


class Wrapped(torch.autograd.Function):
    """A forward and a backward function of arrays as one differentiable function."""

    @staticmethod
    def forward(ctx: Any, forward: Any, backward: Any, *operands: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(*operands)
        ctx.back = backward
        return tensor(forward(*map(array_of, operands)))

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> Any:
        operands = map(array_of, ctx.saved_tensors)
        return (None, None, *map(tensor, ctx.back(array_of(grads[0]), *operands)))


SHAPES = 4  # of OpInfo's samples, for gradcheck


@cache
def small_samples(name: str) -> list[tuple[tuple[Any, ...], dict[str, Any]]]:
    """OpInfo's samples of at most 300 numbers, SHAPES of them spread over all."""
    fit = [s for s in samples(name, "float64") if all(a.size for a in s[0]) and sum(a.size for a in s[0]) <= 300]
    return [fit[round(i * (len(fit) - 1) / (SHAPES - 1))] for i in range(SHAPES)]


def gradcheck(one: Subject, operation: Operation, operands: Sequence[Any], arguments: dict[str, Any]) -> None:
    """The subject's forward or backward function with PyTorch's other half, in float64, default tolerances."""
    forward = OPERATIONS[operation.forward]
    function = getattr(torch.nn.functional, forward.name)

    def right(*arrays: Any) -> Any:
        return by_torch(forward, arrays, arguments)[0]

    def right_back(grad: Any, *arrays: Any) -> Any:
        leaves = [tensor(a).requires_grad_() for a in arrays]
        with torch.enable_grad():
            out = function(*leaves, **arguments)
        return map(array_of, torch.autograd.grad(out, leaves, tensor(grad)))

    def mine(*arrays: Any) -> Any:
        return called(one, operation, arrays, arguments)[0]

    def mine_back(grad: Any, *arrays: Any) -> Any:
        return called(one, operation, (grad, *arrays[:2]), arguments)[: len(arrays)]  # a sample may have no bias

    pair = (mine, right_back) if operation is forward else (right, mine_back)
    inputs = tuple(tensor(a).requires_grad_() for a in operands)
    try:
        torch.autograd.gradcheck(lambda *given: Wrapped.apply(*pair, *given), inputs)
    except GradcheckError as error:
        raise Guilty(short(error)) from None
    except RuntimeError as error:
        if "Wrapped" in str(error):  # a gradient of the wrong shape
            raise Guilty(short(error)) from None
        raise


# --------------------------------------------------------------------------------------------- random shapes
# What a project writes itself: uniform small shapes, normal data, NumPy's rule; there is no source to cite. The second
# row is the same with a tolerance such as one is brought to by the first.


def drawn(rng: np.random.Generator, op: Operation) -> tuple[list[tuple[int, ...]], dict[str, Any]]:
    """Shapes of the forward operation's operands and its arguments, possible or not."""

    def number(low: int, high: int) -> int:
        return int(rng.integers(low, high + 1))

    if op.rank == 0:
        rank = number(1, 2)
        shapes = [tuple(number(1, 12) for _ in range(rank)) for _ in range(2)]
        return shapes, {"mode": ("full", "same", "valid")[number(0, 2)]}
    batch, size = number(1, 4), tuple(number(1, 12) for _ in range(op.rank))
    kernel = tuple(number(1, 5) for _ in range(op.rank))
    arguments: dict[str, Any] = {"stride": number(1, 3)}
    if "pool" in op.kind:
        arguments |= {"kernel_size": kernel, "padding": number(0, 2), "ceil_mode": bool(number(0, 1))}
        extra = {"dilation": number(1, 2)} if op.kind.startswith("max") else {"count_include_pad": bool(number(0, 1))}
        return [(batch, number(1, 6), *size)], arguments | extra
    groups, ins, outs = number(1, 3), number(1, 4), number(1, 4)
    arguments |= {"padding": number(0, 2), "dilation": number(1, 2), "groups": groups}
    weight = (groups * outs, ins)
    if "transpose" in op.kind:
        arguments["output_padding"] = number(0, 1)
        weight = (groups * ins, outs)
    shapes = [(batch, groups * ins, *size), (*weight, *kernel)]
    return shapes + [(groups * outs,)] * (op.name == op.forward and number(0, 1)), arguments


@cache
def random_trials(operation: Operation, dtypes: tuple[str, ...]) -> list[list[Trial]]:
    """One hundred calls that are possible, the dtypes in turn."""
    rng = np.random.default_rng(1)
    out: list[list[Trial]] = [[] for _ in dtypes]
    forward, done = OPERATIONS[operation.forward], 0
    while done < 100:
        shapes, arguments = drawn(rng, operation)
        dtype = numpy_dtype(dtypes[done % len(dtypes)])

        def normal(shape: tuple[int, ...], dtype: Any = dtype) -> Any:
            real = rng.standard_normal(shape)
            return (real + 1j * rng.standard_normal(shape) if dtype.kind == "c" else real).astype(dtype)

        operands = tuple(normal(s) for s in shapes)
        try:
            (expected,) = truth(forward, operands, arguments)
        except (RuntimeError, ValueError):
            continue  # the kernel does not fit, and the like
        if not expected.size or not np.isfinite(expected.astype(complex)).all():
            continue
        if forward is not operation:
            operands = (normal(expected.shape), *operands)
        result = truth(operation, operands, arguments)
        out[done % len(dtypes)].append(Trial(operation, operands, arguments, result))
        done += 1
    return out


def random_shapes(operation: Operation, dtypes: Sequence[str]) -> Iterator[list[Trial]]:
    yield from random_trials(operation, tuple(dtypes))


def by_size(absolute: float, relative: float) -> Callable[[Any, Any], bool]:
    """As NumPy's rule, whose defaults are 1e-8 and 1e-5: shapes are broadcast, dtypes do not count."""
    return lambda got, expected: bool(within(got, expected, absolute, relative).all())


# --------------------------------------------------------------------------------------------------- benchdnn
# tests/benchdnn/conv/conv.cpp:143-226 and conv/cfg.cpp:55-146 (data), utils/cfg.hpp:188-237 (density),
# conv.cpp:444-464 (exact), pool/cfg.cpp and pool/pool.cpp:201-211 (pooling); snapshot of 2024 to 2026.

# Largest magnitudes of source, weight and gradient, and how many digits a sum may have.
RANGES = {"float64": (32, 32, 8, 24), "float32": (32, 32, 8, 24), "float16": (4, 2, 4, 11), "bfloat16": (4, 4, 4, 8)}
# mb, groups, ic, oc, image, kernel, stride, padding, dilation: layers of well-known networks with smaller images.
LAYERS = (
    (2, 1, 3, 16, (15, 15), (7, 7), 2, 3, 1),
    (2, 1, 3, 32, (13, 13), (3, 3), 1, 1, 1),
    (2, 1, 3, 24, (19, 19), (11, 11), 4, 2, 1),
    (2, 1, 64, 64, (7, 7), (1, 1), 1, 0, 1),
    (2, 1, 64, 64, (7, 7), (3, 3), 1, 1, 1),
    (2, 1, 64, 128, (7, 7), (1, 1), 2, 0, 1),
    (2, 1, 64, 128, (7, 7), (3, 3), 2, 1, 1),
    (2, 1, 128, 32, (7, 7), (1, 1), 1, 0, 1),
    (2, 1, 128, 16, (4, 4), (3, 3), 1, 1, 1),
    (2, 1, 80, 48, (5, 5), (3, 3), 1, 0, 1),
    (2, 1, 48, 64, (9, 9), (5, 5), 1, 2, 1),
    (2, 1, 32, 32, (9, 9), (1, 7), 1, (0, 3), 1),
    (2, 1, 32, 32, (9, 9), (7, 1), 1, (3, 0), 1),
    (2, 1, 16, 24, (9, 9), (1, 3), 1, (0, 1), 1),
    (2, 1, 16, 24, (9, 9), (3, 1), 1, (1, 0), 1),
    (2, 1, 17, 33, (10, 10), (3, 3), 1, 1, 1),
    (2, 1, 15, 19, (8, 8), (4, 4), 2, 1, 1),
    (2, 1, 1, 20, (12, 12), (5, 5), 1, 0, 1),
    (2, 1, 20, 50, (6, 6), (5, 5), 1, 0, 1),
    (1, 1, 16, 16, (20, 11), (3, 5), (2, 1), (1, 2), 1),
    (2, 1, 16, 16, (13, 13), (3, 3), 1, 2, 2),
    (2, 1, 8, 16, (17, 17), (3, 3), 1, 6, 6),
    (2, 1, 8, 8, (14, 14), (3, 3), 2, 2, 2),
    (2, 2, 48, 64, (7, 7), (5, 5), 1, 2, 1),
    (2, 8, 32, 32, (7, 7), (3, 3), 1, 1, 1),
    (2, 8, 32, 64, (7, 7), (3, 3), 2, 1, 1),
    (2, 32, 32, 32, (7, 7), (3, 3), 1, 1, 1),
    (2, 32, 32, 32, (7, 7), (3, 3), 2, 1, 1),
    (2, 24, 24, 24, (8, 8), (5, 5), 1, 2, 1),
    (16, 1, 16, 16, (4, 4), (3, 3), 1, 1, 1),
    (5, 1, 12, 10, (6, 7), (2, 2), 1, 0, 1),
    (2, 3, 9, 12, (9, 9), (3, 3), 1, 1, 2),
)
# mb, ic, image, kernel, stride, padding, dilation
POOLS = (
    (2, 64, (13, 13), (3, 3), 2, 1, 1),
    (2, 64, (12, 12), (2, 2), 2, 0, 1),
    (2, 32, (7, 7), (3, 3), 1, 1, 1),
    (2, 96, (13, 13), (3, 3), 2, 0, 1),
    (2, 128, (7, 7), (7, 7), 1, 0, 1),
    (2, 17, (9, 9), (5, 5), 1, 2, 1),
    (2, 16, (11, 14), (3, 5), (2, 3), (1, 2), 1),
    (4, 8, (8, 8), (8, 8), 8, 0, 1),
    (2, 16, (13, 13), (3, 3), 1, 1, 2),
    (2, 16, (15, 15), (2, 2), 2, 0, 2),
)


def axes(value: Any, rank: int) -> tuple[int, ...]:
    """Two axes become the last one, or three of which the first is there twice."""
    pair = value if isinstance(value, tuple) else (value, value)
    return {1: pair[1:], 2: pair, 3: (pair[0], *pair)}[rank]


def whole(rng: np.random.Generator, shape: Sequence[int], low: int, high: int, dtype: str, density: float = 1) -> Any:
    values = rng.integers(low, high + 1, shape) * (rng.random(shape) < density)
    values.flat[0] = rng.integers(1, high + 1)  # "make sure the first element is positive"
    return values.astype(numpy_dtype(dtype))


def layer_trials(operation: Operation, dtype: str) -> Iterator[Trial]:
    """Each layer; for gradients once by data and once by weights, thinned as the sums of each demand."""
    rng = np.random.default_rng(2)
    source, weight, gradient, digits = RANGES[dtype]
    safe = 2**digits // (source * weight)
    rank, forward = operation.rank, OPERATIONS[operation.forward]
    for mb, groups, ic, oc, image, kernel, *rest in LAYERS:
        stride, padding, dilation = (axes(v, rank) for v in rest)
        arguments = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        size, taps = tuple(min(n, 9) if rank == 3 else n for n in axes(image, rank)), axes(kernel, rank)
        sides = (ic, oc // groups) if "transpose" in operation.kind else (oc, ic // groups)
        x_shape, w_shape = (mb, ic, *size), (*sides, *taps)
        w = whole(rng, w_shape, -weight, weight, dtype)
        density = safe / (prod(w_shape[1:]) if "transpose" not in operation.kind else ic // groups * prod(taps))
        x = whole(rng, x_shape, -source, source, dtype, density)
        try:
            (out,) = truth(forward, (x, w), arguments)
        except RuntimeError:
            continue  # three axes of a reduced image may be too small
        if operation is forward:
            operands = (x, w, whole(rng, (oc,), -8, 8, dtype))
            yield Trial(operation, operands, arguments, truth(operation, operands, arguments))
            continue
        x = whole(rng, x_shape, -source, source, dtype)
        for keep, terms in (((0,), oc // groups * prod(taps)), ((1, 2), mb * prod(out.shape[2:]))):
            operands = (whole(rng, out.shape, -gradient, gradient, dtype, safe / terms), x, w)
            results = truth(operation, operands, arguments)
            expected = tuple(r if i in keep else None for i, r in enumerate(results))
            yield Trial(operation, operands, arguments, expected)


def pool_trials(operation: Operation, dtype: str) -> Iterator[Trial]:
    rng = np.random.default_rng(3)
    most, largest = 2048 if dtype in ("float32", "float64") else 32, operation.kind.startswith("max")
    for mb, ic, image, kernel, *rest in POOLS:
        stride, padding, dilation = (axes(v, operation.rank) for v in rest)
        size = tuple(min(n, 9) if operation.rank == 3 else n for n in axes(image, operation.rank))
        arguments = {"kernel_size": axes(kernel, operation.rank), "stride": stride, "padding": padding}
        for extra in [{"dilation": dilation}] if largest else [{"count_include_pad": v} for v in (True, False)]:
            low = -most if largest else 0
            operands = (whole(rng, (mb, ic, *size), low, most, dtype),)
            given = {**arguments, **extra}
            (out,) = truth(OPERATIONS[operation.forward], operands, given)
            if operation.name != operation.forward:
                operands = (whole(rng, out.shape, low, most, dtype), *operands)
            yield Trial(operation, operands, given, truth(operation, operands, given))


@cache
def integer_trials(operation: Operation, dtype: str) -> list[Trial]:
    return list((pool_trials if "pool" in operation.kind else layer_trials)(operation, dtype))


def integers(operation: Operation, dtypes: Sequence[str]) -> Iterator[list[Trial]]:
    if operation.rank:
        yield from (integer_trials(operation, d) for d in dtypes if d in RANGES)


def exact(got: Any, expected: Any) -> bool:
    return got.shape == expected.shape and bool((got.astype(np.float64) == expected.astype(np.float64)).all())


def ten_units(got: Any, expected: Any) -> bool:
    """What averages are allowed: ten times epsilon, relative to all but tiny results."""
    if got.shape != expected.shape:
        return False
    epsilon = float(ml_dtypes.finfo(expected.dtype).eps)
    a, b = got.astype(np.float64), expected.astype(np.float64)
    return bool((abs(a - b) <= 10 * epsilon * np.where(abs(b) > 1e-5, abs(b), 1)).all())


# ---------------------------------------------------------------------------------------------------- judging

Batches = Callable[[Operation, Sequence[str]], Iterator[list[Trial]]]
Agree = Callable[[Any, Any], bool]


def called(one: Subject, operation: Operation, operands: Sequence[Any], arguments: dict[str, Any]) -> tuple[Any, ...]:
    """The subject's results for copies of the operands. A call its signature does not take is not implemented."""
    function = one.functions[operation.name]
    given = [np.array(a) for a in operands]
    try:
        inspect.signature(function).bind(*given, **arguments)
    except TypeError as error:
        raise NotImplementedError(str(error)) from None
    except ValueError:
        pass
    with np.errstate(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        raw = function(*given, **arguments)
    results = (raw,) if len(operation.results) == 1 else tuple(raw)
    if len(results) != len(operation.results) or not all(isinstance(a, np.ndarray) for a in results):
        raise Guilty("not arrays")
    return tuple(np.array(a) for a in results)


def asked(questions: Iterable[Callable[[], None]]) -> Iterator[None]:
    """Each question that the subject answers, until it is guilty.

    What it refuses with NotImplementedError is left out; so is a list (one dtype) in which it refuses everything
    by another exception. One that it refuses among others that it answers convicts, as every checker would.
    """
    refused: Exception | None = None
    answered = False
    for question in questions:
        try:
            question()
        except NotImplementedError:
            continue
        except (ValueError, TypeError, RuntimeError) as error:
            refused = error
        else:
            answered = True
            yield
        if refused and answered:
            raise refused


def compare(one: Subject, trial: Trial, agree: Agree) -> None:
    results = called(one, trial.operation, trial.operands, trial.arguments)
    for got, expected in zip(results, trial.expected, strict=True):
        if expected is not None and not agree(got, expected):
            raise Guilty(f"{trial.operation.name} {[a.shape for a in trial.operands]} {trial.arguments}")


def by_trials(batches: Batches, agree: Agree, averages: Agree | None = None) -> Callable[..., Any]:
    def prepare(one: Subject) -> Callable[[], Iterator[None]]:
        ready = [(op, list(batches(op, one.scope.dtypes))) for op in one.operations]

        def run() -> Iterator[None]:
            for op, lists in ready:
                for trials in lists:
                    rule = averages if averages and "avg" in op.kind else agree
                    yield from asked(partial(compare, one, trial, rule) for trial in trials)

        return run

    return prepare


def by_gradcheck(backward: bool) -> Callable[..., Any]:
    def prepare(one: Subject) -> Callable[[], Iterator[None]]:
        ops = [op for op in one.operations if op.rank and op.kind.endswith("backward") == backward]
        for op in ops:
            small_samples(op.forward)

        def run() -> Iterator[None]:
            for op in ops:
                yield from asked(partial(gradcheck, one, op, *s) for s in small_samples(op.forward))

        return run

    return prepare


CHECKERS: dict[str, Callable[..., Any]] = {
    "KernelBench, older rule": by_trials(tasks, kernelbench(lambda dtype: 1e-2)),
    "KernelBench": by_trials(tasks, kernelbench(lambda dtype: 1e-2 if dtype in HALVES else 1e-4)),
    "assert_close on OpInfo": by_trials(opinfo, close_by_default),
    "gradcheck, backward": by_gradcheck(True),
    "gradcheck, forward": by_gradcheck(False),
    "random shapes": by_trials(random_shapes, by_size(1e-8, 1e-5)),
    "random shapes, looser": by_trials(random_shapes, by_size(1e-4, 1e-4)),
    "benchdnn integers": by_trials(integers, exact, ten_units),
}
OWN = "refconv, quick"
ANY = "any but refconv"
TRUSTED = "any that accuses less than half"  # of the right ones: what the others convict says little


def short(error: BaseException) -> str:
    return " ".join(str(error).split())[:160]


# The second for a subject that waits instead of computing.
TIMERS = ((signal.ITIMER_PROF, signal.SIGPROF, LIMIT), (signal.ITIMER_REAL, signal.SIGALRM, 6 * LIMIT))


def _out_of_time(number: int, frame: Any) -> None:
    raise OutOfTime


def found(checker: str, path: Path) -> Finding:
    """What a checker says of one mutant, loaded anew; the inputs are made before the time counts."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    label = re.search(r"^Class: (\w+)\.", path.read_text(), re.M)
    about = (checker, path.parent.name, path.stem, label.group(1) if label else "")
    started = time.process_time()
    if checker == OWN:
        try:
            law = score.judged(path, Effort(PROFILES["quick"], shrinks=False)).law
            status = "convicted" if law else "accepted"
        except Exception as error:  # refconv's own fault: the row then says that it could not run this one
            status, law = "not run", short(error)
        return Finding(*about, status, law, time.process_time() - started)
    run = CHECKERS[checker](score.subject(path))
    started = time.process_time()
    status, reason = "not run", ""
    for timer, event, limit in TIMERS:
        signal.signal(event, _out_of_time)
        signal.setitimer(timer, limit)
    try:
        for _ in run():
            status = "accepted"
    except OutOfTime:
        reason = "out of time"
    except Guilty as error:
        status, reason = "convicted", short(error)
    except BaseException as error:
        status, reason = "convicted", f"raised {type(error).__name__}: {short(error)}"
    finally:
        for timer, _, _ in TIMERS:
            signal.setitimer(timer, 0)
    return Finding(*about, status, reason, time.process_time() - started)


def findings(paths: Sequence[Path], checkers: Sequence[str], jobs: int = 2) -> Iterator[Finding]:
    """Every checker on every mutant, in processes of their own."""
    pairs = [(c, p) for c in checkers for p in paths]
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(found, *zip(*pairs, strict=True))


# ---------------------------------------------------------------------------------------------------- reporting


def trusted(every: Sequence[Finding]) -> list[str]:
    """The checkers other than refconv that accuse less than half of the right subjects that they can run."""
    out = []
    for checker in dict.fromkeys(f.checker for f in every if f.checker != OWN):
        right = [f.status for f in every if f.checker == checker and f.kind == "right" and f.status != "not run"]
        if 2 * right.count("convicted") < max(1, len(right)):
            out.append(checker)
    return out


def union(every: Sequence[Finding], checkers: Sequence[str], name: str) -> list[Finding]:
    """As if one checker asked several and convicted when one of them does."""
    by_name: dict[tuple[str, str, str], list[Finding]] = {}
    for f in every:
        if f.checker in checkers:
            by_name.setdefault((f.kind, f.name, f.label), []).append(f)
    out = []
    for about, group in by_name.items():
        seen = {f.status for f in group}
        status = next((s for s in ("convicted", "accepted") if s in seen), "not run")
        out.append(Finding(name, *about, status, "", sum(f.seconds for f in group)))
    return out


def unions(every: Sequence[Finding]) -> list[Finding]:
    others = [f.checker for f in every if f.checker != OWN]
    return union(every, others, ANY) + union(every, trusted(every), TRUSTED)


def share(group: Sequence[Finding]) -> str:
    run = [f for f in group if f.status != "not run"]
    return f"{sum(f.status == 'convicted' for f in run)}/{len(run)}" if run else "-"


def table(every: Sequence[Finding]) -> str:
    """One row for each checker: convicted of those it can run, wrong ones by class."""
    lines = [
        "| checker | wrong convicted | right accused | " + " | ".join(CLASSES) + " | seconds |",
        "|---|" + "---|" * (len(CLASSES) + 3),
    ]
    everything = [*every, *unions(every)]
    for checker in dict.fromkeys(f.checker for f in [*(f for f in everything if f.checker != OWN), *everything]):
        mine = [f for f in everything if f.checker == checker]
        wrong = [f for f in mine if f.kind == "wrong"]
        cells = [share(wrong), share([f for f in mine if f.kind == "right"])]
        cells += [share([f for f in wrong if f.label == c]) for c in CLASSES]
        lines.append(f"| {checker} | " + " | ".join(cells) + f" | {sum(f.seconds for f in mine):.0f} |")
    return "\n".join(lines)


def names(group: Sequence[Finding], most: int = 99) -> str:
    if len(group) > most:
        return f"{len(group)} of them"
    return ", ".join(sorted(f"`{f.name}`" for f in group)) or "none"


def report(every: Sequence[Finding], seconds: float) -> str:
    """The part of PEERS.md that is measured."""
    kinds = {k: len({f.name for f in every if f.kind == k}) for k in ("wrong", "right")}
    versions = f"Python {platform.python_version()}, NumPy {np.__version__}, SciPy {scipy.__version__}"
    out = [
        f"{datetime.now(UTC):%Y-%m-%d}; {kinds['wrong']} wrong and {kinds['right']} right subjects; {versions}, "
        f"PyTorch {torch.__version__} (CPU, one thread); {seconds:.0f} seconds in two processes (the table has seconds "
        "of processor time).",
        table(every),
    ]
    own = [f for f in every if f.checker == OWN and f.kind == "wrong"]
    for name, whom in ((ANY, "no other"), (TRUSTED, "no other that accuses less than half of the right ones")):
        convicted = {f.name for f in unions(every) if f.checker == name and f.status == "convicted"}
        missed = [f for f in own if f.status == "convicted" and f.name not in convicted]
        lines = [f"- {c}: {names(m)}" for c in CLASSES if (m := [f for f in missed if f.label == c])]
        out += [f"Convicted by refconv and by {whom} ({len(missed)}):", "\n".join(lines) or "- none"]
        found_by_others = [f for f in own if f.status != "convicted" and f.name in convicted]
        whom = whom.replace("no other", "another")
        out.append(f"Convicted by {whom} and not by refconv ({len(found_by_others)}): {names(found_by_others)}.")
    somebody = {f.name for f in every if f.status == "convicted"}
    nobody = [f for f in own if f.name not in somebody]
    out.append(f"Convicted by nobody ({len(nobody)}): {names(nobody)}.")
    out.append("Right subjects accused:")
    rows = []
    for checker in dict.fromkeys(f.checker for f in every):
        accused = [f for f in every if f.checker == checker and f.kind == "right" and f.status == "convicted"]
        raised = [f for f in accused if f.reason.startswith("raised")]
        rest = [f for f in accused if f not in raised]
        rows.append(f"- {checker}: by value {names(rest, 20)}; because the call is refused {names(raised, 20)}")
    out.append("\n".join(rows))
    late = [f for f in every if f.reason == "out of time"]
    out.append(f"Stopped after {LIMIT} seconds: {len(late)} of {len(every)} pairs of a checker and a subject.")
    return "\n\n".join(out)


def write(text: str) -> None:
    page = PAGE.read_text()
    start, end = "<!-- measured -->", "<!-- end -->"
    before, after = page.partition(start)[0], page.partition(end)[2]
    PAGE.write_text(f"{before}{start}\n\n{text}\n\n{end}{after}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.peers", description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="mutants to judge (default: all)")
    parser.add_argument("--checker", action="append", choices=[*CHECKERS, OWN], help="only this one (repeatable)")
    parser.add_argument("--write", action="store_true", help=f"put the result into {PAGE.name}")
    parser.add_argument("--verbose", action="store_true", help="print every finding")
    options = parser.parse_args()
    paths = [p for kind in ("wrong", "right") for p in score.corpus(kind, options.names)]
    started, every = time.perf_counter(), []
    for f in findings(paths, options.checker or [*CHECKERS, OWN]):
        every.append(f)
        if options.verbose:
            print(f"{f.checker:24} {f.kind:5} {f.name:40} {f.status:9} {f.seconds:5.1f} s  {f.reason}", flush=True)
    text = report(every, time.perf_counter() - started)
    print(text)
    if options.write:
        write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
