"""JAX's `lax` operations on the CPU, gradients by its own automatic differentiation.

`conv_general_dilated` takes N, C, ... and O, I, ... by its dimension numbers, padding as pairs, and does not flip;
its `SAME` puts the odd element after, as ours does. A transposed convolution is one of the input dilated by the stride,
with a kernel flipped and in-channels second, padded by d (k - 1) less the padding before, and by as much less plus the
output padding after. Poolings are `reduce_window`, whose padding holds the initial value: minus infinity, or 0 with
counts summed the same way. What ceil mode adds is more padding after, and is not counted. Products are computed with
`Precision.HIGHEST`: the default may round operands on devices other than a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from refconv.features import Scope
from refconv.spec import PoolSpec, Sizes, conv_spec, pool_spec, transposed_spec
from refconv.subject import Subject

Pads = Sequence[tuple[int, int]]


def subject() -> Subject:
    """conv, transposed conv, max and average pooling in one to three dimensions; uneven padding, and bfloat16 too."""
    functions: dict[str, Callable[..., Any]] = {}
    for rank in (1, 2, 3):
        functions |= {
            f"conv{rank}d": _conv,
            f"conv_transpose{rank}d": _conv_transpose,
            f"max_pool{rank}d": _max_pool,
            f"avg_pool{rank}d": _avg_pool,
        }
    return Subject("jax", functions, scope=Scope(pairs=True), array="jax")


def _sliding(
    x: Any, w: Any, bias: Any, stride: Sizes, padding: Any, dilations: tuple[Sizes, Sizes], groups: int
) -> Any:
    from jax import lax

    axes = "DHW"[3 - len(stride) :]
    numbers = lax.conv_dimension_numbers(x.shape, w.shape, (f"NC{axes}", f"OI{axes}", f"NC{axes}"))
    out = lax.conv_general_dilated(x, w, stride, padding, *dilations, numbers, groups, precision=lax.Precision.HIGHEST)
    return out if bias is None else out + bias.reshape(-1, *(1,) * len(stride))


def _conv(input: Any, weight: Any, bias: Any = None, **given: Any) -> Any:
    spec = conv_spec(input.ndim - 2, weight.shape[2:], **given)
    padding = given.get("padding", 0)
    word = padding.upper() if padding in ("same", "valid") else spec.padding
    return _sliding(input, weight, bias, spec.stride, word, ((1,) * spec.rank, spec.dilation), spec.groups)


def _conv_transpose(input: Any, weight: Any, bias: Any = None, **given: Any) -> Any:
    spec, extra = transposed_spec(input.ndim - 2, **given)
    extent = spec.extent(weight.shape[2:])
    pads = [(e - 1 - a, e - 1 - b + o) for e, (a, b), o in zip(extent, spec.padding, extra, strict=True)]
    c, o, *kernel = weight.shape
    grouped = weight.reshape(spec.groups, c // spec.groups, o, *kernel).swapaxes(1, 2)  # (groups, out, in, kernel)
    flipped = grouped.reshape(spec.groups * o, c // spec.groups, *kernel)[(..., *(slice(None, None, -1),) * spec.rank)]
    return _sliding(input, flipped, bias, (1,) * spec.rank, pads, (spec.stride, spec.dilation), spec.groups)


def _max_pool(input: Any, **given: Any) -> Any:
    from jax import lax
    from jax import numpy as jnp

    spec = pool_spec(input.ndim - 2, **given)
    lowest = jnp.asarray(-jnp.inf, input.dtype)
    return _windows(input, lowest, lax.max, spec, _pads(spec, input.shape[2:]))


def _avg_pool(input: Any, **given: Any) -> Any:
    from jax import lax
    from jax import numpy as jnp

    spec = pool_spec(input.ndim - 2, **given)
    zero, pads = jnp.zeros((), input.dtype), _pads(spec, input.shape[2:])
    total = _windows(input, zero, lax.add, spec, pads)
    if spec.count_include_pad and pads == list(spec.padding):
        return total / prod(spec.kernel_size)
    counted = jnp.ones((1, 1, *input.shape[2:]), input.dtype)
    if spec.count_include_pad:  # cells of the padding count, those that ceil mode adds do not
        counted = jnp.pad(counted, [(0, 0), (0, 0), *spec.padding], constant_values=1)
        pads = [(0, after - b) for (_, after), (_, b) in zip(pads, spec.padding, strict=True)]
    return total / _windows(counted, zero, lax.add, spec, pads)


def _windows(x: Any, initial: Any, reducer: Any, spec: PoolSpec, pads: Pads) -> Any:
    from jax import lax

    pooled = (1, 1, *spec.kernel_size), (1, 1, *spec.stride), [(0, 0), (0, 0), *pads]
    return lax.reduce_window(x, initial, reducer, *pooled, window_dilation=(1, 1, *spec.dilation))


def _pads(spec: PoolSpec, size: Sizes) -> list[tuple[int, int]]:
    """The padding, with as much more after as the last window of ceil mode needs."""
    windows = zip(size, spec.output_size(size), spec.padding, spec.extent, spec.stride, strict=True)
    return [(a, max(b, (count - 1) * s + e - n - a)) for n, count, (a, b), e, s in windows]
