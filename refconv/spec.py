"""What a call means: arguments normalised once, output sizes, the table of operations, and one concrete case.

The sliding product is cross-correlation everywhere: no flip. Only `convolve` flips.
"""

from __future__ import annotations

import operator as _operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from refconv.dtypes import Array

__all__ = [
    "KINDS",
    "KIND_GROUPS",
    "MODES",
    "OPERATIONS",
    "PADDING_MODES",
    "Case",
    "ConvSpec",
    "Operation",
    "PoolSpec",
    "conv_spec",
    "full_output_size",
    "pool_spec",
    "transposed_spec",
]

Sizes = tuple[int, ...]
Pairs = tuple[tuple[int, int], ...]

PADDING_MODES = ("zeros", "reflect", "replicate", "circular")
MODES = ("full", "same", "valid")


def _integer(value: Any, name: str, least: int) -> int:
    try:
        number = _operator.index(value)
    except TypeError:
        raise TypeError(f"`{name}` is {value!r}, but must be an integer or a sequence of them") from None
    if isinstance(value, bool) or number < least:
        raise ValueError(f"`{name}` is {value!r}, but must be an integer of at least {least}")
    return number


def _per_axis(value: Any, rank: int, name: str, least: int) -> Sizes:
    """2 -> (2, 2); (2, 3) stays."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != rank:
            raise ValueError(f"`{name}` is {value!r} ({len(value)} values), but must be one integer or {rank} of them")
        return tuple(_integer(v, name, least) for v in value)
    return (_integer(value, name, least),) * rank


def _pairs(padding: Any, rank: int) -> Pairs:
    """1, (1, 2) or ((before, after), ...) -> a pair for each axis, outermost first."""
    if isinstance(padding, Sequence) and any(isinstance(p, Sequence) for p in padding):
        if len(padding) != rank or any(not isinstance(p, Sequence) or len(p) != 2 for p in padding):
            raise ValueError(
                f"`padding` is {padding!r}, but must hold one (before, after) pair for each of {rank} axes"
            )
        return tuple((_integer(a, "padding", 0), _integer(b, "padding", 0)) for a, b in padding)
    return tuple((p, p) for p in _per_axis(padding, rank, "padding", 0))


@dataclass(frozen=True)
class ConvSpec:
    """The geometry of a convolution; every field is a tuple with one entry for each spatial axis."""

    stride: Sizes
    padding: Pairs
    dilation: Sizes
    groups: int = 1

    @property
    def rank(self) -> int:
        return len(self.stride)

    def extent(self, kernel_size: Sizes) -> Sizes:
        """Size of the dilated kernel: d (k - 1) + 1.

        >>> ConvSpec((1,), ((0, 0),), (2,)).extent((3,))
        (5,)
        """
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, kernel_size, strict=True))

    def output_size(self, input_size: Sizes, kernel_size: Sizes) -> Sizes:
        """Spatial size of the output, floor((n + p - e) / s) + 1; zero where the kernel does not fit.

        >>> ConvSpec(stride=(1,), padding=((1, 1),), dilation=(1,)).output_size((5,), (3,))
        (5,)
        """
        sizes = zip(input_size, self.padding, self.extent(kernel_size), self.stride, strict=True)
        return tuple(max(0, (n + a + b - e) // s + 1) for n, (a, b), e, s in sizes)

    def transposed_output_size(self, input_size: Sizes, kernel_size: Sizes, output_padding: Sizes) -> Sizes:
        """Spatial size of the transposed convolution's output, (n - 1) s - p + e + output_padding.

        >>> ConvSpec(stride=(2,), padding=((1, 1),), dilation=(1,)).transposed_output_size((3,), (3,), (1,))
        (6,)
        """
        sizes = zip(input_size, self.padding, self.extent(kernel_size), self.stride, output_padding, strict=True)
        return tuple((n - 1) * s - a - b + e + extra for n, (a, b), e, s, extra in sizes)


def conv_spec(
    rank: int, kernel_size: Sizes, stride: Any = 1, padding: Any = 0, dilation: Any = 1, groups: Any = 1
) -> ConvSpec:
    """Normalise a convolution's arguments; "same" puts the odd element after, "same_lower" before.

    >>> conv_spec(1, (4,), padding="same").padding, conv_spec(1, (4,), padding="same_lower").padding
    (((1, 2),), ((2, 1),))
    """
    strides, dilations = _per_axis(stride, rank, "stride", 1), _per_axis(dilation, rank, "dilation", 1)
    if not isinstance(padding, str):
        pairs = _pairs(padding, rank)
    elif padding == "valid":
        pairs = ((0, 0),) * rank
    elif padding in ("same", "same_lower"):
        if any(s != 1 for s in strides):
            raise ValueError(f"`padding` is {padding!r}, but `stride` is {stride!r}: it must be 1 there")
        totals = [d * (k - 1) for d, k in zip(dilations, kernel_size, strict=True)]
        pairs = tuple((t // 2, t - t // 2) for t in totals)
        if padding == "same_lower":
            pairs = tuple((b, a) for a, b in pairs)
    else:
        raise ValueError(
            f"`padding` is {padding!r}, but must be an integer, a tuple, pairs, 'same', 'same_lower' or 'valid'"
        )
    return ConvSpec(strides, pairs, dilations, _integer(groups, "groups", 1))


def transposed_spec(
    rank: int, stride: Any = 1, padding: Any = 0, output_padding: Any = 0, groups: Any = 1, dilation: Any = 1
) -> tuple[ConvSpec, Sizes]:
    """Normalise a transposed convolution's arguments: the spec of the convolution it transposes, and output padding.

    >>> transposed_spec(1, stride=2, output_padding=1)[1]
    (1,)
    """
    if isinstance(padding, str):
        raise ValueError(
            f"`padding` is {padding!r}, but must be an integer, a tuple or pairs for a transposed convolution"
        )
    spec = ConvSpec(
        _per_axis(stride, rank, "stride", 1),
        _pairs(padding, rank),
        _per_axis(dilation, rank, "dilation", 1),
        _integer(groups, "groups", 1),
    )
    extra = _per_axis(output_padding, rank, "output_padding", 0)
    for o, s, d in zip(extra, spec.stride, spec.dilation, strict=True):
        if o >= max(s, d):
            raise ValueError(
                f"`output_padding` is {output_padding!r}, but must be smaller than `stride` (={stride!r}) "
                f"or `dilation` (={dilation!r})"
            )
    return spec, extra


@dataclass(frozen=True)
class PoolSpec:
    """The geometry of a pooling window; every tuple has one entry for each spatial axis."""

    kernel_size: Sizes
    stride: Sizes
    padding: Pairs
    dilation: Sizes
    ceil_mode: bool = False
    count_include_pad: bool = True

    @property
    def rank(self) -> int:
        return len(self.stride)

    @property
    def extent(self) -> Sizes:
        return tuple(d * (k - 1) + 1 for d, k in zip(self.dilation, self.kernel_size, strict=True))

    def output_size(self, input_size: Sizes) -> Sizes:
        """Number of windows; in ceil mode the last must start inside the input or its leading padding.

        >>> pool_spec(1, 2, stride=2, ceil_mode=True).output_size((5,))
        (3,)
        """
        return tuple(map(self._windows, input_size, self.padding, self.extent, self.stride))

    def drops_a_window(self, input_size: Sizes) -> bool:
        """Whether ceil mode leaves out a window that would start beyond the input, which some libraries keep.

        >>> pool_spec(1, 2, stride=2, padding=1, ceil_mode=True).drops_a_window((3,))
        True
        """
        axes = list(zip(input_size, self.padding, self.extent, self.stride, strict=True))
        return any(self._rounded(*axis) != self._windows(*axis) for axis in axes)

    def _rounded(self, n: int, pad: tuple[int, int], extent: int, stride: int) -> int:
        room = n + sum(pad) - extent
        if room < 0 and not (self.ceil_mode and room > -stride):
            return 0
        return (-(-room // stride) if self.ceil_mode else room // stride) + 1

    def _windows(self, n: int, pad: tuple[int, int], extent: int, stride: int) -> int:
        count = self._rounded(n, pad, extent, stride)
        beyond = self.ceil_mode and (count - 1) * stride >= n + pad[0]
        return count - beyond


def pool_spec(
    rank: int,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    dilation: Any = 1,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> PoolSpec:
    """Normalise a pooling's arguments; the stride defaults to the kernel size, padding is at most half of it.

    >>> pool_spec(2, 3).stride
    (3, 3)
    """
    kernel = _per_axis(kernel_size, rank, "kernel_size", 1)
    pairs = _pairs(padding, rank)
    for k, pair in zip(kernel, pairs, strict=True):
        if max(pair) > k // 2:
            raise ValueError(f"`padding` is {padding!r}, but must be at most half of `kernel_size` (={kernel_size!r})")
    return PoolSpec(
        kernel,
        kernel if stride is None else _per_axis(stride, rank, "stride", 1),
        pairs,
        _per_axis(dilation, rank, "dilation", 1),
        bool(ceil_mode),
        bool(count_include_pad),
    )


def full_output_size(size1: Sizes, size2: Sizes, mode: str) -> Sizes:
    """Size of `convolve` and `correlate`: full n + m - 1, same n, valid max - min + 1.

    >>> full_output_size((5,), (3,), "full"), full_output_size((5,), (3,), "valid")
    ((7,), (3,))
    """
    if mode not in MODES:
        raise ValueError(f"`mode` is {mode!r}, but must be one of {', '.join(MODES)}")
    if len(size1) != len(size2):
        raise ValueError(f"`in1` has {len(size1)} axes and `in2` {len(size2)}, but both must have the same number")
    pairs = list(zip(size1, size2, strict=True))
    if mode == "full":
        return tuple(n + m - 1 for n, m in pairs)
    if mode == "same":
        return tuple(size1)
    if not (all(n >= m for n, m in pairs) or all(n <= m for n, m in pairs)):
        raise ValueError(f"`mode` is 'valid', but neither {size1} nor {size2} is at least as large on every axis")
    return tuple(abs(n - m) + 1 for n, m in pairs)


@dataclass(frozen=True)
class Operation:
    """One operation of the contract: its operands in call order, its arguments with defaults, its results."""

    name: str
    kind: str
    rank: int  # 0: any
    operands: tuple[str, ...]
    arguments: Mapping[str, Any] = field(hash=False)
    results: tuple[str, ...] = ("output",)

    def __reduce__(self) -> tuple[Any, ...]:
        return _operation, (self.name,)

    @property
    def forward(self) -> str:
        """The name of the operation whose gradient this is; its own where it is none."""
        return self.name.removesuffix("_backward")


def _operation(name: str) -> Operation:
    """The one of that name, wherever it was pickled."""
    return OPERATIONS[name]


_CONV = {"stride": 1, "padding": 0, "dilation": 1, "groups": 1}
_TRANSPOSED = {"stride": 1, "padding": 0, "output_padding": 0, "groups": 1, "dilation": 1}
_REQUIRED = object()
_MAX = {"kernel_size": _REQUIRED, "stride": None, "padding": 0, "dilation": 1, "ceil_mode": False}
_AVG = {"kernel_size": _REQUIRED, "stride": None, "padding": 0, "ceil_mode": False, "count_include_pad": True}
_GRADIENTS = ("grad_input", "grad_weight", "grad_bias")
_POOLED = ("grad_output", "input")


def _table() -> dict[str, Operation]:
    rows = []
    for d in (1, 2, 3):
        rows += [
            Operation(f"conv{d}d", "conv", d, ("input", "weight", "bias"), _CONV),
            Operation(f"conv_transpose{d}d", "conv_transpose", d, ("input", "weight", "bias"), _TRANSPOSED),
            Operation(f"conv{d}d_backward", "conv_backward", d, ("grad_output", "input", "weight"), _CONV, _GRADIENTS),
            Operation(f"max_pool{d}d", "max_pool", d, ("input",), _MAX),
            Operation(f"avg_pool{d}d", "avg_pool", d, ("input",), _AVG),
            Operation(
                f"max_pool{d}d_backward", "max_pool_backward", d, ("grad_output", "input"), _MAX, ("grad_input",)
            ),
            Operation(
                f"avg_pool{d}d_backward", "avg_pool_backward", d, ("grad_output", "input"), _AVG, ("grad_input",)
            ),
        ]
    rows += [Operation(n, n, 0, ("in1", "in2"), {"mode": "full"}) for n in ("convolve", "correlate")]
    return {row.name: row for row in rows}


OPERATIONS: dict[str, Operation] = _table()
KINDS: dict[str, list[Operation]] = {}
for _row in OPERATIONS.values():
    KINDS.setdefault(_row.kind, []).append(_row)
# What a law may be about beside one kind: every operation, and those on batches (N, C, spatial axes).
KIND_GROUPS: dict[str, set[str]] = {"operation": set(KINDS), "batched": set(KINDS) - {"convolve", "correlate"}}


@dataclass(frozen=True, eq=False)
class Case:
    """One concrete call: the operands, every argument that differs from its default, and how they were made.

    `operands` maps the operation's operand names to C-contiguous arrays (no entry for an absent bias);
    `layout` says how their memory is arranged when they are handed over.
    """

    operation: Operation
    operands: Mapping[str, Array]
    arguments: Mapping[str, Any]
    dtype: str
    family: str = "given"
    layout: str = "contiguous"
    features: tuple[tuple[str, str], ...] = ()

    @cached_property
    def settings(self) -> dict[str, Any]:
        """Every argument, defaults filled in."""
        return {**self.operation.arguments, **self.arguments}

    @cached_property
    def conv(self) -> ConvSpec:
        """The convolution's geometry (for a transposed convolution: of the one it transposes)."""
        s = self.settings
        if self.operation.kind == "conv_transpose":
            return transposed_spec(self.operation.rank, **s)[0]
        return conv_spec(self.operation.rank, self.operands["weight"].shape[2:], **s)

    @cached_property
    def output_padding(self) -> Sizes:
        return transposed_spec(self.operation.rank, **self.settings)[1]

    @cached_property
    def pool(self) -> PoolSpec:
        return pool_spec(self.operation.rank, **self.settings)

    @cached_property
    def shapes(self) -> dict[str, Sizes]:
        """The shape of each result."""
        kind, arrays = self.operation.kind, self.operands
        if kind == "conv":
            x, w = arrays["input"].shape, arrays["weight"].shape
            return {"output": (x[0], w[0], *self.conv.output_size(x[2:], w[2:]))}
        if kind == "conv_transpose":
            x, w = arrays["input"].shape, arrays["weight"].shape
            size = self.conv.transposed_output_size(x[2:], w[2:], self.output_padding)
            return {"output": (x[0], w[1] * self.conv.groups, *size)}
        if kind == "conv_backward":
            w = arrays["weight"].shape
            return {"grad_input": arrays["input"].shape, "grad_weight": w, "grad_bias": w[:1]}
        if kind in ("max_pool", "avg_pool"):
            x = arrays["input"].shape
            return {"output": (*x[:2], *self.pool.output_size(x[2:]))}
        if kind in ("max_pool_backward", "avg_pool_backward"):
            return {"grad_input": arrays["input"].shape}
        return {"output": full_output_size(arrays["in1"].shape, arrays["in2"].shape, self.settings["mode"])}

    @cached_property
    def facts(self) -> dict[str, Any]:
        """What an argument held fast can be compared with, by its name: sizes as tuples, padding as pairs."""
        if self.operation.rank == 0:
            return {}
        x = self.operands["input"].shape
        facts: dict[str, Any] = {"input_size": x[2:], "batch": x[0], "in_channels": x[1]}
        if "pool" in self.operation.kind:
            return {**facts, **vars(self.pool)}
        w, transposed = self.operands["weight"].shape, self.operation.kind == "conv_transpose"
        facts |= {"kernel_size": w[2:], "out_channels": w[1] * self.conv.groups if transposed else w[0]}
        if transposed:
            facts["output_padding"] = self.output_padding
        return {**facts, **vars(self.conv)}

    def with_operands(self, **operands: Array) -> Case:
        """The same call on other operands."""
        return replace(self, operands={**self.operands, **operands})

    def same(self, other: Case) -> bool:
        """Whether a subject could not tell the two calls from each other."""
        if repr(self) != repr(other) or self.operands.keys() != other.operands.keys():
            return False
        return all(a.tobytes() == other.operands[name].tobytes() for name, a in self.operands.items())

    def __repr__(self) -> str:
        arrays = ", ".join(f"{name}: {self.dtype}{list(a.shape)}" for name, a in self.operands.items())
        arguments = "".join(f", {name}={value!r}" for name, value in self.arguments.items())
        return f"{self.operation.name}({arrays}{arguments}) [{self.family}, {self.layout}]"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(repr(self))
