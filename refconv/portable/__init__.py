"""The references once more in the array-API standard alone: no write in place, nothing of any one library.

The same code runs on NumPy, PyTorch, JAX, CuPy and whatever follows the standard, on the device of its operands; what
differentiates or compiles such code (`torch.autograd`, `torch.func`, `jax.grad`, `jax.jit`) goes through it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from refconv.portable import direct, fft, im2col, pooling, winograd
from refconv.spec import ConvSpec, PoolSpec, Sizes

__all__ = ["AVG_POOL", "AVG_POOL_BACKWARD", "CONV", "MAX_POOL", "MAX_POOL_BACKWARD", "SIGNAL", "Portable", "choose"]

Array = Any


@dataclass(frozen=True)
class Portable:
    """One way to compute convolutions and their gradients in any namespace, which comes first.

    What it refuses and in which class its error falls is what `refconv.algorithms.ALGORITHMS` says under its name.
    """

    conv: Callable[[Any, Array, Array, ConvSpec], Array]
    input_grad: Callable[[Any, Array, Array, ConvSpec, Sizes], Array]
    weight_grad: Callable[[Any, Array, Array, ConvSpec, Sizes], Array]


CONV: Mapping[str, Portable] = {
    "direct": Portable(direct.conv, direct.input_grad, direct.weight_grad),
    "fft": Portable(fft.conv, fft.input_grad, fft.weight_grad),
    "im2col": Portable(im2col.conv, im2col.input_grad, im2col.weight_grad),
    "winograd": Portable(winograd.conv, winograd.input_grad, winograd.weight_grad),
}
SIGNAL: Mapping[str, Portable] = {name: CONV[name] for name in ("direct", "fft")}

Forward = Callable[[Any, Array, PoolSpec], Array]
Backward = Callable[[Any, Array, Array, PoolSpec], Array]
MAX_POOL: Mapping[str, Forward] = {"windows": pooling.max_pool}
AVG_POOL: Mapping[str, Forward] = {"windows": pooling.avg_pool}
MAX_POOL_BACKWARD: Mapping[str, Backward] = {"taps": pooling.max_backward}
AVG_POOL_BACKWARD: Mapping[str, Backward] = {"spread": pooling.avg_backward}


def choose(weight: Sizes, integers: bool) -> str:
    """The algorithm that `auto` means for a weight of this shape: one whose error is that of direct summation.

    A depthwise kernel has no channels to contract, and integers have no fast product.

    >>> choose((8, 4, 3, 3), integers=False), choose((8, 1, 3, 3), integers=False)
    ('im2col', 'direct')
    """
    return "direct" if integers or weight[1] == 1 else "im2col"
