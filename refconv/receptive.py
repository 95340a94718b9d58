"""Which input positions an output position sees: the receptive field of a stack, the tap map of one layer."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import product
from operator import index
from typing import Any, NamedTuple

from refconv.spec import ConvSpec, PoolSpec, Sizes

__all__ = ["Layer", "ReceptiveField", "receptive_field", "taps"]


class Layer(NamedTuple):
    """One layer along one axis; lengths in elements of the layer's own input.

    >>> Layer(3, stride=2)
    Layer(kernel_size=3, stride=2, dilation=1, padding=0)
    """

    kernel_size: int
    stride: int = 1
    dilation: int = 1
    padding: int = 0  # before the first element


class ReceptiveField(NamedTuple):
    """Along one axis, in elements of the input: output o sees start + o jump ... start + o jump + size - 1.

    >>> ReceptiveField(size=5, jump=2, start=-1).positions(3)
    range(5, 10)
    """

    size: int
    jump: int
    start: int

    def positions(self, output_index: int) -> range:
        """The hull of what one output sees, padding included; dilation may skip some of it."""
        first = self.start + output_index * self.jump
        return range(first, first + self.size)


def _layer(value: Any, position: int) -> Layer:
    # a kernel size alone stands for a layer of stride 1
    parts = tuple(value) if isinstance(value, Sequence) and not isinstance(value, str) else (value,)
    if not 1 <= len(parts) <= 4 or any(isinstance(p, bool) or not hasattr(p, "__index__") for p in parts):
        raise TypeError(
            f"`layers[{position}]` is {value!r}, but must be a kernel size, a `Layer`, or a tuple of up to four "
            "integers (kernel_size, stride, dilation, padding); call once for each axis where axes differ"
        )
    layer = Layer(*map(index, parts))
    if min(layer[:3]) < 1 or layer.padding < 0:
        raise ValueError(
            f"`layers[{position}]` is {value!r}, but kernel_size, stride and dilation must be at least 1, "
            "padding at least 0"
        )
    return layer


def receptive_field(layers: Iterable[Any]) -> ReceptiveField:
    """The receptive field of a stack of convolutions and poolings along one axis.

    R(l) = 1 + sum over j of (F(j) - 1) prod over i < j of S(i) [Araujo, Norris, Sim 2019], where a dilated kernel
    counts with its extent, F = d (k - 1) + 1. Padding does not change the size, only where the field starts.

    Parameters
    ----------
    layers : iterable of int, Layer or tuple
        From input to output: a kernel size, or (kernel_size, stride=1, dilation=1, padding=0). All in elements.

    Returns
    -------
    ReceptiveField
        `size` R(l), `jump` between the fields of neighbouring outputs (the product of the strides) and `start`,
        the input position where the field of output 0 begins (negative inside the padding); in input elements.

    Raises
    ------
    TypeError
        When a layer is none of the above.
    ValueError
        When a size, stride or dilation is below 1, or a padding below 0.

    Examples
    --------
    >>> receptive_field([3, 3])
    ReceptiveField(size=5, jump=1, start=0)
    >>> receptive_field([Layer(7, stride=2, padding=3), Layer(3, stride=2, padding=1)])
    ReceptiveField(size=11, jump=4, start=-5)
    """
    size, jump, start = 1, 1, 0
    for position, value in enumerate(layers):
        layer = _layer(value, position)
        size += layer.dilation * (layer.kernel_size - 1) * jump
        start -= layer.padding * jump
        jump *= layer.stride
    return ReceptiveField(size, jump, start)


def taps(spec: ConvSpec | PoolSpec, input_size: Sizes, kernel_size: Sizes, output_index: Sizes) -> list[Sizes]:
    """The input positions that one output position reads, padding left out, in row-major order of the kernel.

    Output o reads o s - p + t d for t = 0 ... k - 1 on every axis, where that lies in [0, n).

    Parameters
    ----------
    spec : ConvSpec or PoolSpec
        Geometry of the layer.
    input_size, kernel_size, output_index : tuple of int
        One entry for each spatial axis, in elements.

    Returns
    -------
    list of tuple of int
        Spatial indices into the input.

    Raises
    ------
    ValueError
        When a tuple has not one entry for each axis of `spec`, or `output_index` lies outside the output.

    Examples
    --------
    >>> from refconv.spec import conv_spec
    >>> taps(conv_spec(1, (3,), stride=2, padding=1), (5,), (3,), (0,))
    [(0,), (1,)]
    """
    named = {"input_size": input_size, "kernel_size": kernel_size, "output_index": output_index}
    for name, value in named.items():
        if len(value) != spec.rank:
            raise ValueError(f"`{name}` is {value!r}, but must have {spec.rank} entries, one for each spatial axis")
    if isinstance(spec, ConvSpec):
        output_size = spec.output_size(input_size, kernel_size)
    else:
        output_size = spec.output_size(input_size)
    if not all(0 <= o < out for o, out in zip(output_index, output_size, strict=True)):
        raise ValueError(f"`output_index` is {output_index!r}, but must lie inside the output of size {output_size}")
    axes = []
    geometry = zip(output_index, spec.stride, spec.padding, spec.dilation, kernel_size, input_size, strict=True)
    for o, stride, (before, _), dilation, k, n in geometry:
        reads = range(o * stride - before, o * stride - before + k * dilation, dilation)
        axes.append([i for i in reads if 0 <= i < n])
    return list(product(*axes))
