"""What adapters say in other libraries' words: order of axes, padding, cuts. Nothing here computes with the data.

Pairs are (before, after), outermost axis first. Where a library pads by a rule of its own, the rule is written here and
compared with the pairs that are asked for, so that the library's own padding is used where it gives just these.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from refconv.dtypes import Array
from refconv.spec import KINDS, ConvSpec, Pairs, PoolSpec, Sizes, conv_spec, pool_spec, transposed_spec

__all__ = [
    "Kinds",
    "channels_first",
    "channels_last",
    "conv",
    "cut",
    "functions",
    "pads_beside_windows",
    "same_pads",
    "transposed",
    "transposed_size",
    "weight_last",
    "window",
    "zeros_count",
]

Kinds = Mapping[str, Callable[..., Any]]


def functions(library: Any, kinds: Kinds, ranks: Sizes = (1, 2, 3)) -> dict[str, Any]:
    """The operations of some kinds and ranks, each by the function of its kind, which gets the library first.

    >>> sorted(functions(None, {"conv": print}, ranks=(1, 2)))
    ['conv1d', 'conv2d']
    """
    return {op.name: partial(f, library) for kind, f in kinds.items() for op in KINDS[kind] if op.rank in ranks}


# ------------------------------------------------------------------------------------------------- arguments


def conv(x: Array, w: Array, **arguments: Any) -> ConvSpec:
    """The geometry of a convolution. Raises ValueError where channels do not match.

    >>> conv(np.ones((1, 2, 5)), np.ones((4, 1, 3)), groups=2, padding="same").padding
    ((1, 1),)
    """
    spec = conv_spec(x.ndim - 2, w.shape[2:], **arguments)
    if w.shape[1] * spec.groups != x.shape[1] or w.shape[0] % spec.groups:
        raise ValueError(f"weights {w.shape} in {spec.groups} groups do not match {x.shape[1]} input channels")
    if 0 in spec.output_size(x.shape[2:], w.shape[2:]):
        raise ValueError(f"a kernel of size {w.shape[2:]} does not fit the input of size {x.shape[2:]}")
    return spec


def transposed(x: Array, w: Array, **arguments: Any) -> tuple[ConvSpec, Sizes]:
    """The geometry of a transposed convolution and its output padding; the weight is (C, O / groups, ...).

    >>> transposed(np.ones((1, 2, 5)), np.ones((2, 1, 3)), stride=2, output_padding=1)[1]
    (1,)
    """
    spec, extra = transposed_spec(x.ndim - 2, **arguments)
    if w.shape[0] != x.shape[1] or w.shape[0] % spec.groups:
        raise ValueError(f"weights {w.shape} in {spec.groups} groups do not match {x.shape[1]} input channels")
    return spec, extra


def transposed_size(x: Array, w: Array, spec: ConvSpec) -> Sizes:
    """The size of a transposed convolution's output before anything is cut off: (n - 1) s + e.

    >>> transposed_size(np.ones((1, 2, 5)), np.ones((2, 1, 3)), ConvSpec((2,), ((1, 1),), (1,)))
    (11,)
    """
    sizes = zip(x.shape[2:], spec.stride, spec.extent(w.shape[2:]), strict=True)
    return tuple((n - 1) * s + e for n, s, e in sizes)


def window(x: Array, kernel_size: Any, **arguments: Any) -> PoolSpec:
    """The geometry of a pooling.

    >>> window(np.ones((1, 2, 5)), 3, padding=1).stride
    (3,)
    """
    return pool_spec(x.ndim - 2, kernel_size, **arguments)


# --------------------------------------------------------------------------------------------------- padding


def same_pads(input_size: Sizes, extent: Sizes, stride: Sizes) -> Pairs:
    """TensorFlow's SAME: as much as ceil(n / s) windows need, the odd cell after [tf.nn, "Notes on padding"].

    It depends on the size of the input where the stride is above 1; PyTorch's "same" does not, and has no strides.

    >>> same_pads((5, 6), (3, 3), (2, 2)), same_pads((5,), (1,), (3,))
    (((1, 1), (0, 1)), ((0, 0),))
    """
    needed = [max(0, (-(-n // s) - 1) * s + e - n) for n, e, s in zip(input_size, extent, stride, strict=True)]
    return tuple((p // 2, p - p // 2) for p in needed)


def pads_beside_windows(spec: PoolSpec, input_size: Sizes) -> Pairs:
    """What must lie beside the input for the windows of a pooling, in ceil mode too, to be those of floor mode.

    >>> pads_beside_windows(pool_spec(1, 2, stride=2, ceil_mode=True), (5,)), pads_beside_windows(pool_spec(1, 2), (5,))
    (((0, 1),), ((0, 0),))
    """
    axes = zip(spec.output_size(input_size), spec.stride, spec.extent, input_size, spec.padding, strict=True)
    return tuple((a, max(0, (count - 1) * s + e - n - a)) for count, s, e, n, (a, _) in axes)


def zeros_count(spec: PoolSpec, input_size: Sizes) -> bool:
    """Whether an average over the kernel's size, zeros written beside the input, is the average that is asked for.

    >>> [zeros_count(pool_spec(1, 3, None, p, count_include_pad=c), (5,)) for p, c in ((1, True), (1, False))]
    [True, False]
    """
    needed = pads_beside_windows(spec, input_size)
    if not spec.count_include_pad:
        return not any(a or b for a, b in needed)
    return all(b <= given for (_, b), (_, given) in zip(needed, spec.padding, strict=True))


# ------------------------------------------------------------------------------------------------- axes, cuts


def channels_last(x: Array) -> Array:
    """N, C, ... -> N, ..., C; also O, I, ... -> O, ..., I.

    >>> channels_last(np.ones((1, 2, 5, 6))).shape
    (1, 5, 6, 2)
    """
    return np.ascontiguousarray(np.moveaxis(x, 1, -1))


def channels_first(x: Array) -> Array:
    """N, ..., C -> N, C, ....

    >>> channels_first(np.ones((1, 5, 6, 2))).shape
    (1, 2, 5, 6)
    """
    return np.moveaxis(x, -1, 1)


def weight_last(w: Array) -> Array:
    """O, I, ... -> ..., I, O, as TensorFlow has them; of a transposed convolution I, O, ... -> ..., O, I.

    >>> weight_last(np.ones((4, 2, 3, 5))).shape
    (3, 5, 2, 4)
    """
    return np.ascontiguousarray(np.moveaxis(w, (1, 0), (-2, -1)))


def cut(y: Array, first: Sizes, size: Sizes) -> Array:
    """So many cells of each spatial axis of N, C, ..., from these on.

    >>> cut(np.ones((1, 2, 9)), (1,), (5,)).shape
    (1, 2, 5)
    """
    return y[(slice(None), slice(None), *(slice(a, a + n) for a, n in zip(first, size, strict=True)))]
