"""How a call, or the form of its result, is bent: another geometry, an edited operand, a rearranged sum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from refconv.exact import Form
from refconv.spec import Case, ConvSpec, PoolSpec, Sizes

__all__ = [
    "AXES",
    "Edit",
    "Spec",
    "arranged",
    "edited",
    "extents",
    "kernel_size",
    "mapped",
    "moved",
    "products",
    "scaled",
    "size_kept",
    "spec_of",
    "with_spec",
]

Spec = Any  # a ConvSpec or a PoolSpec
Edit = Callable[[Any, Case], Any]  # a copy of an operand -> what is used instead, None: nothing is said
Map = Callable[[Any, Case], Any]
AXES = {1: ("the axis",), 2: ("the height", "the width"), 3: ("the depth", "the height", "the width")}


@dataclass(frozen=True, eq=False)
class Bent(Case):
    """A call whose geometry is not the one that its arguments say."""

    spec: Any = None
    extra: Sizes = ()

    @cached_property
    def conv(self) -> ConvSpec:
        assert isinstance(self.spec, ConvSpec)
        return self.spec

    @cached_property
    def pool(self) -> PoolSpec:
        assert isinstance(self.spec, PoolSpec)
        return self.spec

    @cached_property
    def output_padding(self) -> Sizes:
        return self.extra


def spec_of(case: Case) -> Spec:
    """The geometry of a convolution or a pooling."""
    return case.pool if "pool" in case.operation.kind else case.conv


def _extra(case: Case) -> Sizes:
    return case.output_padding if case.operation.kind == "conv_transpose" else ()


def with_spec(case: Case, spec: Spec, extra: Sizes | None = None, **operands: Any) -> Case:
    """The call with this geometry, perhaps other output padding, and other operands."""
    fields = (case.operation, {**case.operands, **operands}, case.arguments, case.dtype)
    return Bent(*fields, case.family, case.layout, spec=spec, extra=_extra(case) if extra is None else extra)


def kernel_size(spec: Spec, case: Case) -> Sizes:
    """Of the window or the weight."""
    return spec.kernel_size if isinstance(spec, PoolSpec) else case.operands["weight"].shape[2:]


def extents(spec: Spec, case: Case) -> Sizes:
    """What the kernel spans, dilated."""
    return spec.extent if isinstance(spec, PoolSpec) else spec.extent(kernel_size(spec, case))


def size_kept(spec: Spec, case: Case) -> Spec:
    """Trailing padding so that the size of the result stays (it may be negative)."""
    kind, size, e = case.operation.kind, case.operands["input"].shape[2:], extents(spec, case)
    if kind == "conv_transpose":
        target = case.shapes["output"][2:]
        rows = zip(size, spec.stride, spec.padding, e, case.output_padding, target, strict=True)
        pads = tuple((a, (n - 1) * s - a + k + x - t) for n, s, (a, _), k, x, t in rows)
    else:
        target = case.operands["grad_output"].shape[2:] if "backward" in kind else case.shapes["output"][2:]
        axes = zip(size, spec.stride, spec.padding, e, target, strict=True)
        pads = tuple((a, (t - 1) * s + k - n - a) for n, s, (a, _), k, t in axes)
    return replace(spec, padding=pads, **({"ceil_mode": False} if isinstance(spec, PoolSpec) else {}))


def edited(name: str, edit: Edit, case: Case) -> Case | None:
    """The call with an edited operand; None where it has no such operand."""
    if name not in case.operands:
        return None
    new = edit(case.operands[name].copy(), case)
    return None if new is None else with_spec(case, spec_of(case), **{name: new}) if case.operation.rank else (
        case.with_operands(**{name: new})
    )  # fmt: skip


def scaled(factor: float, where: Any, a: Any, case: Case) -> Any:
    """Some elements times a factor, in place."""
    a[where] = a[where] * factor
    return a


def mapped(form: Form, function: Callable[[Any], Any]) -> Form:
    """The form of a rearranged result."""
    shape = form.magnitude.shape
    inner = form.operator
    addend = None if form.addend is None else function(np.broadcast_to(form.addend, shape))
    divisor = form.divisor
    if np.ndim(divisor):
        divisor = function(np.broadcast_to(np.asarray(divisor, dtype=np.float64), shape))
        divisor = np.where(divisor == 0, 1, divisor)
    return replace(form, operator=lambda a, b: function(inner(a, b)), addend=addend, divisor=divisor, norms=None)


def arranged(function: Map, form: Form, case: Case) -> Form:
    """Rearranges the result by a function that knows the call."""
    return mapped(form, lambda a: function(a, case))


def products(function: Map, form: Form, case: Case) -> Form:
    """Rearranges the sums of products only; the addend stays."""
    inner = form.operator
    return replace(form, operator=lambda a, b: function(inner(a, b), case), norms=None)


def moved(axis: int, by: int, a: Any, case: Case) -> Any:
    """Everything some places on along an axis, zeros behind it."""
    out = np.roll(a, by, axis)
    edge = [slice(None)] * a.ndim
    edge[axis] = slice(0, by) if by > 0 else slice(by, None)
    out[tuple(edge)] = 0
    return out
