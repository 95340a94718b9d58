"""Which features a call can have: the covering design of each operation within a scope.

A feature is a named choice among values, plainest first; what cannot be combined is said in rules. Arguments that
the user holds fast leave fewer values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

from refconv.cover import Design
from refconv.spec import OPERATIONS, Operation, Sizes

__all__ = ["DTYPES", "LAYOUTS", "LONG", "Scope", "all_odd", "all_one", "groupings", "held", "plan", "suited"]

DTYPES = ("float32", "float64", "float16", "bfloat16")
# How an operand's memory is arranged when it is handed over; `inset` lies inside a larger array of NaN.
LAYOUTS = ("contiguous", "transposed", "strided", "inset", "read-only", "reversed")
LONG = 4608  # terms of a long reduction: 512 channels under a 3x3 kernel


@dataclass(frozen=True)
class Scope:
    """Which calls are drawn: dtypes, arguments held fast, and whether uneven padding may be passed as pairs."""

    dtypes: Sequence[str] = ("float32", "float64")
    fix: Mapping[str, Any] = field(default_factory=dict)
    pairs: bool = False
    families: Sequence[str] = ()  # empty: all that suit the operation
    layouts: Sequence[str] = LAYOUTS
    bias: bool = True
    empty: bool = True  # whether a batch may be empty
    ceil_rule: str = "standard"  # "extra": only calls on which the rules for ceil mode agree


_PRODUCT_FAMILIES = (
    "denseint",
    "sparse4",
    "posint",
    "asymX",
    "asymW",
    "normal",
    "positive",
    "coherent",
    "heavy",
    "scaled",
    "subnormal",
    "impulse",
)
_SUM_FAMILIES = ("denseint", "posint", "normal", "positive", "heavy", "scaled", "subnormal", "impulse")
_MAX_FAMILIES = ("ties", "normal", "negative", "heavy", "subnormal", "impulse")

_CONV_FEATURES = {
    "stride": ("1", ">1", ">kernel"),
    "dilation": ("1", ">1"),
    "groups": ("1", "several", "depthwise", "multiplier"),
    "padding": ("none", "symmetric", "same", "over half", "beyond kernel", "beyond input", "one side", "uneven"),
    "output padding": ("0", ">0"),
    "kernel": ("1", "odd", "even", "whole"),
    "remainder": ("free", "yes"),
    "size": ("small", "one", "prime", "tail"),
    "batch": ("1", "many", "0"),
    "channels": ("few", "one", "tail", "block", "long"),
    "bias": ("no", "yes"),
}
_CONV_NEVER: list[dict[str, tuple[str, ...]]] = [
    {"stride": (">1",), "kernel": ("1",)},  # a stride above a kernel of one is "> kernel"
    {"padding": ("same",), "stride": (">1", ">kernel")},
    {"padding": ("symmetric", "over half"), "kernel": ("1",)},  # there any padding is beyond the kernel
    {"kernel": ("whole",), "size": ("one", "prime", "tail")},
    {"kernel": ("whole",), "remainder": ("yes",)},
    {"size": ("one",), "remainder": ("yes",)},
    {"padding": ("same",), "remainder": ("yes",)},
    {"size": ("prime", "tail"), "padding": ("beyond input",)},
    {"remainder": ("yes",), "stride": ("1",)},
    {"channels": ("one",), "groups": ("several", "depthwise", "multiplier")},
    {"channels": ("block", "long"), "groups": ("several", "depthwise", "multiplier")},
    {"channels": ("block", "long"), "size": ("tail", "prime")},
    {"channels": ("block",), "size": ("one",)},
    {"channels": ("block", "long"), "padding": ("beyond input", "beyond kernel")},
    {"output padding": (">0",), "stride": ("1",), "dilation": ("1",)},
    {"output padding": (">0",), "stride": ("1",), "kernel": ("1",)},
]
_FORWARD_NEVER: list[dict[str, tuple[str, ...]]] = [
    {"size": ("one",), "padding": ("none",), "kernel": ("odd", "even")},
    {"size": ("one",), "padding": ("none",), "stride": (">1",)},
]
_TRANSPOSED_NEVER: list[dict[str, tuple[str, ...]]] = [
    {"size": ("one",), "padding": ("over half", "beyond kernel")},
    {"size": ("one",), "padding": ("one side", "uneven"), "kernel": ("1",)},
]
# Features that say nothing of a transposed convolution: a kernel always fits, its remainder is output padding.
_TRANSPOSED_WITHOUT = {"padding": ("same", "beyond input"), "kernel": ("whole",), "remainder": ("free", "yes")}
_POOL_FEATURES = {
    "stride": ("default", "1", ">1", ">kernel"),
    "dilation": ("1", ">1"),
    "padding": ("none", "symmetric", "uneven"),
    "ceil_mode": ("no", "yes"),
    "count_include_pad": ("yes", "no"),
    "kernel": ("even", "odd", "1", "whole"),
    "remainder": ("free", "yes"),
    "size": ("small", "one", "prime", "tail"),
    "batch": ("1", "many", "0"),
    "channels": ("one", "few", "tail"),
}
_POOL_NEVER: list[dict[str, tuple[str, ...]]] = [
    {"kernel": ("1",), "padding": ("symmetric", "uneven")},
    {"kernel": ("1",), "stride": (">1",)},
    {"kernel": ("1",), "stride": ("default",), "remainder": ("yes",)},
    {"kernel": ("whole",), "size": ("one", "prime", "tail")},
    {"kernel": ("whole",), "remainder": ("yes",)},
    {"size": ("one",), "remainder": ("yes",)},
    {"size": ("one",), "kernel": ("odd", "even"), "padding": ("none",)},
    {"size": ("one",), "kernel": ("odd", "even"), "dilation": (">1",)},
    {"size": ("one",), "kernel": ("odd",), "padding": ("uneven",)},
    {"size": ("one",), "padding": ("none",), "stride": (">1",)},
    {"size": ("one",), "padding": ("symmetric", "uneven"), "dilation": (">1",)},
    {"size": ("one",), "stride": (">1",), "dilation": (">1",)},
    {"remainder": ("yes",), "stride": ("1",)},
    {"kernel": ("even",), "padding": ("uneven",), "dilation": (">1",)},
]
_SIGNAL_FEATURES = {
    "rank": ("1", "2", "3"),
    "mode": ("full", "same", "valid"),
    "kernel": ("1", "odd", "even"),
    "larger": ("in1", "in2", "neither"),
    "size": ("small", "prime", "tail"),
}
_SIGNAL_NEVER: list[dict[str, tuple[str, ...]]] = [
    {"rank": ("3",), "size": ("tail",)},
    {"larger": ("neither",), "size": ("prime", "tail")},
]


def plan(operation: Operation | str, scope: Scope | None = None) -> Design:
    """The covering design of an operation: its features with their values, and what cannot be combined.

    >>> plan("conv2d").features["groups"]
    ('1', 'several', 'depthwise', 'multiplier')
    """
    op = OPERATIONS[operation] if isinstance(operation, str) else operation
    scope = suited(op, scope or Scope())
    data = {"family": _families(op, scope), "layout": tuple(scope.layouts)}
    if op.kind in ("convolve", "correlate"):
        return Design({**_SIGNAL_FEATURES, **data}, _SIGNAL_NEVER)
    if "pool" in op.kind:
        features: dict[str, Sequence[str]] = {**_POOL_FEATURES, **data}
        features.pop("dilation" if op.kind.startswith("avg") else "count_include_pad")
        if not scope.pairs:
            features["padding"] = _POOL_FEATURES["padding"][:2]
        if not scope.empty:
            features["batch"] = ("1", "many")
        return _fixed(Design(features, _POOL_NEVER), op, scope)
    features = {**_CONV_FEATURES, **data}
    never = list(_CONV_NEVER)
    if not scope.pairs:
        features["padding"] = tuple(v for v in features["padding"] if v not in ("one side", "uneven"))
    if op.kind == "conv_transpose":
        for name, values in _TRANSPOSED_WITHOUT.items():
            features[name] = tuple(v for v in features[name] if v not in values)
        features.pop("remainder")
        never += _TRANSPOSED_NEVER
    else:
        features.pop("output padding")
        never += _FORWARD_NEVER
    if op.kind == "conv_backward" or not scope.bias:
        features.pop("bias")
    if not scope.empty:
        features["batch"] = ("1", "many")
    return _fixed(Design(features, never), op, scope)


def _families(op: Operation, scope: Scope) -> tuple[str, ...]:
    suited: tuple[str, ...] = _PRODUCT_FAMILIES
    if "pool" in op.kind:
        suited = _SUM_FAMILIES if op.kind.startswith("avg") else _MAX_FAMILIES
    chosen = tuple(f for f in suited if not scope.families or f in scope.families)
    return chosen or tuple(scope.families)


# Values of a feature that an argument held fast leaves possible.
_FIX_RULES: dict[str, Callable[[Any], tuple[str, tuple[str, ...]]]] = {
    "stride": lambda v: ("stride", ("1",) if all_one(v) else (">1", ">kernel")),
    "dilation": lambda v: ("dilation", ("1",) if all_one(v) else (">1",)),
    "kernel_size": lambda v: ("kernel", ("1",) if all_one(v) else (("odd",) if all_odd(v) else ("even",))),
    "ceil_mode": lambda v: ("ceil_mode", ("yes",) if v else ("no",)),
    "count_include_pad": lambda v: ("count_include_pad", ("yes",) if v else ("no",)),
    "output_padding": lambda v: ("output padding", ("0",) if _all_zero(v) else (">0",)),
    "padding": lambda v: ("padding", ("fixed",)),
    "batch": lambda v: ("batch", ("fixed",)),
    "groups": lambda v: ("groups", ("1",)) if v == 1 else ("channels", ("fixed",)),
    "in_channels": lambda v: ("channels", ("fixed",)),
    "out_channels": lambda v: ("channels", ("fixed",)),
    "input_size": lambda v: ("size", ("fixed",)),
}
_SHAPES = ("kernel_size", "input_size", "batch", "in_channels", "out_channels")
WIDE = 2**21  # most numbers in the patches of one channel-rich case where the input size is held fast


def suited(op: Operation, scope: Scope) -> Scope:
    """The scope without fixed arguments that the operation does not have."""
    shapes = _SHAPES[: 0 if not op.rank else 5 if op.kind.startswith("conv") else 4]  # a pooling keeps its channels
    return replace(scope, fix={n: v for n, v in scope.fix.items() if n in op.arguments or n in shapes})


def all_one(value: Any) -> bool:
    return all(v == 1 for v in (value if isinstance(value, Sequence) else (value,)))


def _all_zero(value: Any) -> bool:
    return not any(value if isinstance(value, Sequence) else (value,))


def all_odd(value: Any) -> bool:
    return all(v % 2 for v in (value if isinstance(value, Sequence) else (value,)))


def _fixed(base: Design, op: Operation, scope: Scope) -> Design:
    fix, features = scope.fix, dict(base.features)

    def keep(feature: str, kept: Sequence[str]) -> None:
        if feature in features:
            features[feature] = tuple(v for v in features[feature] if v in kept) or tuple(kept)

    for name, value in fix.items():
        if name in _FIX_RULES:
            keep(*_FIX_RULES[name](value))
    if {"groups", "in_channels", "out_channels"} & set(fix):
        keep("groups", [kind for kind in ("1", "several", "depthwise", "multiplier") if groupings(kind, fix)])
    if fix.get("padding") == "same":
        keep("stride", ("1",))
    if "input_size" in fix:
        size = prod(held(scope, "input_size", max(op.rank, 1)) or ())
        keep("remainder", ("free",))
        keep("kernel", [v for v in features["kernel"] if v != "whole"])
        keep("padding", [v for v in features["padding"] if v != "beyond input" or size <= 32**op.rank])
        terms = {"long": LONG, "tail": LONG // 8, "block": LONG // 8}
        keep("channels", [v for v in features["channels"] if terms.get(v, 0) * size <= WIDE])
    never = [{f: tuple(v) for f, v in rule.items()} for rule in base.never]
    return Design(features, never)


def groupings(kind: str, fix: Mapping[str, Any]) -> list[int]:
    """Numbers of groups of a kind that the fixed arguments allow."""
    c, o, g = fix.get("in_channels"), fix.get("out_channels"), fix.get("groups")
    suited: Callable[[int], bool] = {
        "1": lambda n: n == 1,
        "several": lambda n: n > 1 and (c is None or (c % n == 0 and c > n)) and (o is None or o % n == 0),
        "depthwise": lambda n: n > 1 and c in (None, n) and o in (None, n),
        "multiplier": lambda n: n > 1 and c in (None, n) and (o is None or (o % n == 0 and o > n)),
    }[kind]
    return [n for n in ([g] if g else [*range(1, 5), *([c] if c else []), *([o] if o else [])]) if suited(n)]


def held(scope: Scope, name: str, rank: int) -> Sizes | None:
    value = scope.fix.get(name)
    if value is None:
        return None
    return tuple(value) if isinstance(value, Sequence) else (int(value),) * rank
