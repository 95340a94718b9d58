"""The registry of algorithms: what each can do, in which class its error falls, and which one `auto` takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv.algorithms import direct, fft, im2col, toeplitz, winograd
from refconv.spec import OPERATIONS, ConvSpec, Sizes

__all__ = ["ALGORITHMS", "Algorithm", "algorithm", "choose"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Algorithm:
    """One way to compute convolutions and their gradients.

    `refuses` and `claim` take the name of an operation and the geometry of a convolution; for a transposed
    convolution it is that of the convolution it transposes, whose input is the transposed one's output. `needs` takes
    the name of one of the three functions and whole shapes: the most bytes it allocates beside operands and result.
    """

    name: str
    summary: str
    conv: Callable[[Array, Array, ConvSpec], Array]
    input_grad: Callable[[Array, Array, ConvSpec, Sizes], Array]
    weight_grad: Callable[[Array, Array, ConvSpec, Sizes], Array]
    needs: Callable[[str, ConvSpec, Sizes, Sizes, int], int]
    refuses: Callable[[str, ConvSpec, Sizes, Sizes, np.dtype[Any]], str]
    claim: Callable[[str, ConvSpec, Sizes, Sizes], str]


def algorithm(name: str) -> Algorithm:
    """Look an algorithm up.

    >>> algorithm("fft").claim("conv1d", ConvSpec((1,), ((0, 0),), (1,)), (8,), (3,))
    'fft'
    """
    if name not in ALGORITHMS:
        raise ValueError(
            f"`method` is {name!r}, but must be one of {', '.join(sorted([*ALGORITHMS, 'auto', 'fastest']))}"
        )
    return ALGORITHMS[name]


def choose(name: str, spec: ConvSpec, shapes: tuple[Sizes, Sizes], dtype: np.dtype[Any]) -> str:
    """The algorithm that `auto` means; always one whose error is that of direct summation.

    `shapes` are those of the convolution's input and weight; nothing else decides, so that a result is the same in
    every process. Matrix products with the patches (im2col) were the fastest on every layer measured, but for two:
    integers, for which there is no fast product, and gradients of strided depthwise convolutions, whose columns would
    be added up one by one.

    >>> choose("conv2d", ConvSpec((1, 1), ((0, 0), (0, 0)), (1, 1)), ((1, 8, 9, 9), (4, 8, 3, 3)), np.dtype("f4"))
    'im2col'
    """
    depthwise = spec.groups > 1 and shapes[1][1] == 1
    folded = OPERATIONS[name].kind != "conv" and any(s != 1 for s in spec.stride)
    return "direct" if dtype.kind == "i" or (depthwise and folded) else "im2col"


def _nothing(name: str, spec: ConvSpec, input_size: Sizes, kernel_size: Sizes, dtype: np.dtype[Any]) -> str:
    return ""


def _direct_claim(name: str, spec: ConvSpec, input_size: Sizes, kernel_size: Sizes) -> str:
    return "direct"


def _fft_claim(name: str, spec: ConvSpec, input_size: Sizes, kernel_size: Sizes) -> str:
    return "fft"


def _winograd_claim(name: str, spec: ConvSpec, input_size: Sizes, kernel_size: Sizes) -> str:
    """winograd(m,r), or winograd(m1xm2,r1xr2) with one number for each axis where axes differ."""
    if OPERATIONS[name].kind != "conv":
        outputs = spec.output_size(input_size, kernel_size)
        pair = winograd.gradient_tile(spec, input_size, outputs, kernel_size), kernel_size
    else:
        pair = winograd.tile(spec, input_size, kernel_size), kernel_size
    if all(len(set(sizes)) == 1 for sizes in pair):
        pair = pair[0][:1], pair[1][:1]
    return "winograd({},{})".format(*("x".join(map(str, sizes)) for sizes in pair))


ALGORITHMS: Mapping[str, Algorithm] = {
    "direct": Algorithm(
        name="direct",
        summary="one multiply-add of a strided slice per kernel tap",
        conv=direct.conv,
        input_grad=direct.input_grad,
        weight_grad=direct.weight_grad,
        needs=direct.needs,
        refuses=_nothing,
        claim=_direct_claim,
    ),
    "fft": Algorithm(
        name="fft",
        summary="products of Fourier transforms over overlapping tiles",
        conv=fft.conv,
        input_grad=fft.input_grad,
        weight_grad=fft.weight_grad,
        needs=fft.needs,
        refuses=fft.refuses,
        claim=_fft_claim,
    ),
    "im2col": Algorithm(
        name="im2col",
        summary="one matrix product with the patches of the input; col2im back",
        conv=im2col.conv,
        input_grad=im2col.input_grad,
        weight_grad=im2col.weight_grad,
        needs=im2col.needs,
        refuses=_nothing,
        claim=_direct_claim,
    ),
    "toeplitz": Algorithm(
        name="toeplitz",
        summary="one sparse matrix times the flattened image",
        conv=toeplitz.conv,
        input_grad=toeplitz.input_grad,
        weight_grad=toeplitz.weight_grad,
        needs=toeplitz.needs,
        refuses=_nothing,
        claim=_direct_claim,
    ),
    "winograd": Algorithm(
        name="winograd",
        summary="minimal filtering F(m, r) on tiles; stride and dilation 1",
        conv=winograd.conv,
        input_grad=winograd.input_grad,
        weight_grad=winograd.weight_grad,
        needs=winograd.needs,
        refuses=winograd.refuses,
        claim=_winograd_claim,
    ),
}
