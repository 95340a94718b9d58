"""Layers as rows of a table: which shapes each makes, which weights it has, how it goes forward and back.

A layer holds no weights. It is a description, so a network can be counted without any, and a function of them:
`forward` gives the output together with the function that takes a gradient back. Shapes are those of one example,
(C, H, W) or (features,); arrays have the batch in front.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

import refconv.pooling as pooling
from refconv import receptive
from refconv.algorithms import im2col
from refconv.convolution import conv2d, conv2d_backward
from refconv.spec import ConvSpec, PoolSpec, Sizes, conv_spec, pool_spec

__all__ = [
    "AvgPool2d",
    "BatchNorm2d",
    "Concat",
    "Conv2d",
    "Dense",
    "Flatten",
    "GlobalAvgPool",
    "Layer",
    "LocallyConnected2d",
    "MaxPool2d",
    "Pass",
    "ReLU",
    "Sequential",
    "Sigmoid",
    "Sum",
    "Tanh",
]

Array = NDArray[Any]
Values = Mapping[str, Array]
Shape = tuple[int, ...]
Backward = Callable[[Array], tuple[Array, dict[str, Array]]]


class Pass(NamedTuple):
    """What going forward gave: the output, the way back, and the running statistics as they are now.

    `backward` takes the gradient with respect to the output and gives that with respect to the input, and those with
    respect to the parameters by name.
    """

    output: Array
    backward: Backward
    statistics: dict[str, Array]


class Row(NamedTuple):
    """One layer in its place in a network: its name there, and the shapes of one example before and after it."""

    name: str
    layer: Layer
    input_shape: Shape
    output_shape: Shape


@dataclass(frozen=True)
class Layer:
    """A layer without weights that keeps the shape; the base of all."""

    def output_shape(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """The shapes of what is learnt, by name, for inputs of a shape."""
        return {}

    def statistics(self, shape: Shape) -> dict[str, float]:
        """What is kept beside, one number for each channel, and the value it starts with."""
        return {}

    def multiply_adds(self, shape: Shape) -> int:
        """Products in one forward pass of one example, those with padding counted."""
        return 0

    def window(self) -> receptive.Layer | None:
        """What an output sees along one axis; None for all of the input."""
        return receptive.Layer(1)

    def thinner(self, by: int) -> Layer:
        """The layer with its channels divided by a number, rounded up."""
        return self

    def rows(self, shape: Shape, name: str = "") -> Iterator[Row]:
        """The layers inside, or itself."""
        yield Row(name, self, shape, self.output_shape(shape))

    def initial(self, shape: Shape, random: np.random.Generator) -> dict[str, Array]:
        """Weights and biases uniform within 1 / sqrt(products in each sum), as PyTorch's layers begin."""
        shapes = self.parameters(shape)
        reach = 1 / np.sqrt(prod(shapes["weight"][1:])) if shapes else 0.0
        return {name: random.uniform(-reach, reach, size) for name, size in shapes.items()}

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        """The output for a batch; `method` is how convolutions are computed, where it can do them."""
        raise NotImplementedError


def _by(method: str, call: Callable[..., Any], *operands: Array | None, **arguments: Any) -> Any:
    """The call by the method, or by `auto` where the method cannot do it."""
    try:
        return call(*operands, **arguments, method=method)
    except NotImplementedError:
        return call(*operands, **arguments, method="auto")


# ------------------------------------------------------------------------------------------ layers with weights


@dataclass(frozen=True)
class Conv2d(Layer):
    """Cross-correlation with learnt kernels: weight (out_channels, C / groups, kh, kw), bias (out_channels,).

    >>> Conv2d(6, 5, padding=2).output_shape((1, 28, 28)), Conv2d(6, 5).parameters((1, 28, 28))
    ((6, 28, 28), {'weight': (6, 1, 5, 5), 'bias': (6,)})
    """

    out_channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0
    dilation: Any = 1
    groups: int = 1
    bias: bool = True

    @property
    def kernel(self) -> Sizes:
        return pool_spec(2, self.kernel_size).kernel_size

    @property
    def spec(self) -> ConvSpec:
        return conv_spec(2, self.kernel, self.stride, self.padding, self.dilation, self.groups)

    def output_shape(self, shape: Shape) -> Shape:
        return (self.out_channels, *self.spec.output_size(shape[1:], self.kernel))

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        weight = {"weight": (self.out_channels, shape[0] // self.groups, *self.kernel)}
        return {**weight, "bias": (self.out_channels,)} if self.bias else weight

    def multiply_adds(self, shape: Shape) -> int:
        return prod(self.output_shape(shape)) * prod(self.parameters(shape)["weight"][1:])

    def window(self) -> receptive.Layer:
        return receptive.Layer(
            self.kernel[0], self.spec.stride[0], self.spec.dilation[0], padding=self.spec.padding[0][0]
        )

    def thinner(self, by: int) -> Layer:
        return replace(self, out_channels=-(-self.out_channels // by))

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        w, geometry = values["weight"], self.geometry()
        y = _by(method, conv2d, x, w, values.get("bias"), **geometry)

        def backward(grad_output: Array) -> tuple[Array, dict[str, Array]]:
            grad_input, grad_weight, grad_bias = _by(method, conv2d_backward, grad_output, x, w, **geometry)
            return grad_input, {"weight": grad_weight, **({"bias": grad_bias} if self.bias else {})}

        return Pass(y, backward, {})

    def geometry(self) -> dict[str, Any]:
        """The arguments of `conv2d`."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}


@dataclass(frozen=True)
class LocallyConnected2d(Layer):
    """A convolution whose weights are not shared: weight (out_channels, H', W', C kh kw), bias (out_channels, H', W').

    >>> LocallyConnected2d(1, 10).parameters((1, 12, 12))["weight"]
    (1, 3, 3, 100)
    """

    out_channels: int
    kernel_size: Any
    stride: Any = 1
    padding: Any = 0

    @property
    def kernel(self) -> Sizes:
        return pool_spec(2, self.kernel_size).kernel_size

    @property
    def spec(self) -> ConvSpec:
        return conv_spec(2, self.kernel, self.stride, self.padding)

    def output_shape(self, shape: Shape) -> Shape:
        return (self.out_channels, *self.spec.output_size(shape[1:], self.kernel))

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        outputs = self.output_shape(shape)
        return {"weight": (*outputs, shape[0] * prod(self.kernel)), "bias": outputs}

    def multiply_adds(self, shape: Shape) -> int:
        return prod(self.parameters(shape)["weight"])

    def window(self) -> receptive.Layer:
        return receptive.Layer(self.kernel[0], self.spec.stride[0], padding=self.spec.padding[0][0])

    def thinner(self, by: int) -> Layer:
        return replace(self, out_channels=-(-self.out_channels // by))

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        columns = im2col.patches(x, self.kernel, self.spec)  # (N, C kh kw, H' W')
        weight = values["weight"]
        w = weight.reshape(self.out_channels, -1, columns.shape[1])  # (out_channels, H' W', C kh kw)
        y = np.einsum("opt,ntp->nop", w, columns).reshape(len(x), *weight.shape[:3]) + values["bias"]

        def backward(grad_output: Array) -> tuple[Array, dict[str, Array]]:
            g = grad_output.reshape(len(x), self.out_channels, -1)
            spread = np.einsum("opt,nop->ntp", w, g)
            grad_input = im2col.fold(spread, self.kernel, self.spec, x.shape[2:])
            grad_weight = np.einsum("nop,ntp->opt", g, columns).reshape(weight.shape)
            return grad_input, {"weight": grad_weight, "bias": grad_output.sum(axis=0)}

        return Pass(y, backward, {})


@dataclass(frozen=True)
class Dense(Layer):
    """Every output sees every input: y = x W^T + b, weight (features, inputs), bias (features,).

    >>> Dense(120).parameters((400,))["weight"]
    (120, 400)
    """

    features: int

    def output_shape(self, shape: Shape) -> Shape:
        return (self.features,)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return {"weight": (self.features, *shape), "bias": (self.features,)}

    def multiply_adds(self, shape: Shape) -> int:
        return self.features * prod(shape)

    def window(self) -> None:
        return None

    def thinner(self, by: int) -> Layer:
        return Dense(-(-self.features // by))

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        w = values["weight"]

        def backward(grad_output: Array) -> tuple[Array, dict[str, Array]]:
            return grad_output @ w, {"weight": grad_output.T @ x, "bias": grad_output.sum(axis=0)}

        return Pass(x @ w.T + values["bias"], backward, {})


@dataclass(frozen=True)
class BatchNorm2d(Layer):
    """Each channel shifted and scaled to mean 0 and variance 1, then by learnt bias and weight [Ioffe, Szegedy 2015].

    Training takes mean and variance of the batch, and moves the running statistics towards them (that of the variance
    unbiased, as PyTorch); inference takes the running ones.

    >>> BatchNorm2d().parameters((64, 56, 56))
    {'weight': (64,), 'bias': (64,)}
    """

    eps: float = 1e-5
    momentum: float = 0.1

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return {"weight": shape[:1], "bias": shape[:1]}

    def statistics(self, shape: Shape) -> dict[str, float]:
        return {"running_mean": 0.0, "running_var": 1.0}

    def initial(self, shape: Shape, random: np.random.Generator) -> dict[str, Array]:
        return {"weight": np.ones(shape[:1]), "bias": np.zeros(shape[:1])}

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        over = (0, *range(2, x.ndim))
        count = x.size // x.shape[1]
        if training and count < 2:
            raise ValueError(f"`x` has shape {x.shape}, but training needs more than one value for each channel")

        def each(channel: Array) -> Array:  # (C,) against (N, C, ...)
            return channel.reshape(1, -1, *(1,) * (x.ndim - 2))

        mean = x.mean(axis=over) if training else values["running_mean"]
        centred = x - each(mean)
        variance = (centred * centred).mean(axis=over) if training else values["running_var"]
        scale = 1 / np.sqrt(variance + x.dtype.type(self.eps))
        normal = centred * each(scale)
        y = each(values["weight"]) * normal + each(values["bias"])

        def backward(grad_output: Array) -> tuple[Array, dict[str, Array]]:
            grad_weight, grad_bias = (grad_output * normal).sum(axis=over), grad_output.sum(axis=over)
            g = grad_output
            if training:  # less what the mean and the variance take
                g = g - each(grad_bias / count) - normal * each(grad_weight / count)
            return each(values["weight"] * scale) * g, {"weight": grad_weight, "bias": grad_bias}

        return Pass(y, backward, self._moved(values, mean, variance * (count / max(1, count - 1))) if training else {})

    def _moved(self, values: Values, mean: Array, variance: Array) -> dict[str, Array]:
        now = {"running_mean": mean, "running_var": variance}
        return {name: (1 - self.momentum) * values[name] + self.momentum * a for name, a in now.items()}


# --------------------------------------------------------------------------------------- layers without weights


@dataclass(frozen=True)
class _Pool(Layer):
    """What the two poolings share: all but the operation."""

    kernel_size: Any
    stride: Any = None
    padding: Any = 0
    ceil_mode: bool = False
    operations: ClassVar[tuple[Callable[..., Array], Callable[..., Array]]]  # forward, and its gradient

    @property
    def spec(self) -> PoolSpec:
        return pool_spec(2, self.kernel_size, self.stride, self.padding, ceil_mode=self.ceil_mode)

    def output_shape(self, shape: Shape) -> Shape:
        return (shape[0], *self.spec.output_size(shape[1:]))

    def window(self) -> receptive.Layer:
        return receptive.Layer(self.spec.kernel_size[0], self.spec.stride[0], padding=self.spec.padding[0][0])

    def geometry(self) -> dict[str, Any]:
        """The arguments of a pooling."""
        return {f: getattr(self, f) for f in ("kernel_size", "stride", "padding", "ceil_mode")}

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        pool, gradient = self.operations

        def backward(grad_output: Array) -> tuple[Array, dict[str, Array]]:
            return gradient(grad_output, x, **self.geometry()), {}

        return Pass(pool(x, **self.geometry()), backward, {})


@dataclass(frozen=True)
class MaxPool2d(_Pool):
    """The largest element of each window; its gradient goes to the first of them.

    >>> MaxPool2d(3, 2, padding=1).output_shape((64, 112, 112))
    (64, 56, 56)
    """

    operations = pooling.max_pool2d, pooling.max_pool2d_backward


@dataclass(frozen=True)
class AvgPool2d(_Pool):
    """The mean of each window, zeros of the padding counted; its gradient is spread evenly.

    >>> AvgPool2d(2).output_shape((6, 28, 28))
    (6, 14, 14)
    """

    operations = pooling.avg_pool2d, pooling.avg_pool2d_backward


@dataclass(frozen=True)
class GlobalAvgPool(Layer):
    """The mean of each channel: (C, H, W) -> (C,).

    >>> GlobalAvgPool().output_shape((512, 7, 7))
    (512,)
    """

    def output_shape(self, shape: Shape) -> Shape:
        return shape[:1]

    def window(self) -> None:
        return None

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        def backward(grad_output: Array) -> tuple[Array, dict[str, Array]]:
            share = grad_output / grad_output.dtype.type(prod(x.shape[2:]))
            return np.broadcast_to(share[:, :, None, None], x.shape).copy(), {}

        return Pass(pooling.global_avg_pool(x), backward, {})


@dataclass(frozen=True)
class Flatten(Layer):
    """(C, H, W) -> (C H W,), in row-major order.

    >>> Flatten().output_shape((16, 5, 5))
    (400,)
    """

    def output_shape(self, shape: Shape) -> Shape:
        return (prod(shape),)

    def window(self) -> None:
        return None

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        return Pass(x.reshape(len(x), -1), lambda grad_output: (grad_output.reshape(x.shape), {}), {})


@dataclass(frozen=True)
class ReLU(Layer):
    """max(x, 0); its derivative at 0 is 0.

    >>> y, backward, _ = ReLU().forward(np.array([[-1.0, 0.0, 2.0]]), {})
    >>> y, backward(np.ones((1, 3)))[0]
    (array([[0., 0., 2.]]), array([[0., 0., 1.]]))
    """

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        return Pass(np.maximum(x, 0), lambda grad_output: (grad_output * (x > 0), {}), {})


@dataclass(frozen=True)
class Sigmoid(Layer):
    """1 / (1 + exp(-x)); its derivative is y (1 - y).

    >>> y, backward, _ = Sigmoid().forward(np.zeros((1, 1)), {})
    >>> y, backward(np.ones((1, 1)))[0]
    (array([[0.5]]), array([[0.25]]))
    """

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        with np.errstate(over="ignore"):
            y = 1 / (1 + np.exp(-x))
        return Pass(y, lambda grad_output: (grad_output * (y * (1 - y)), {}), {})


@dataclass(frozen=True)
class Tanh(Layer):
    """The hyperbolic tangent; its derivative is 1 - y^2 = (1 - y) (1 + y).

    >>> y, backward, _ = Tanh().forward(np.zeros((1, 1)), {})
    >>> y, backward(np.ones((1, 1)))[0]
    (array([[0.]]), array([[1.]]))
    """

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        y = np.tanh(x)
        return Pass(y, lambda grad_output: (grad_output * ((1 - y) * (1 + y)), {}), {})


# ---------------------------------------------------------------------------------------------- layers of layers


def inside(values: Values, position: int) -> dict[str, Array]:
    """The values of one of several layers: of "2.weight", "weight" for layer 2."""
    start = f"{position}."
    return {name.removeprefix(start): a for name, a in values.items() if name.startswith(start)}


def _named(position: int, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{position}.{name}": a for name, a in values.items()}


@dataclass(frozen=True)
class _Several(Layer):
    """What layers of layers share: names "0.weight", "1.bias" ..., as PyTorch names them."""

    layers: tuple[Layer, ...] = field(default=())

    def _shapes(self, shape: Shape) -> Iterator[tuple[int, Layer, Shape]]:
        """Each layer with its position and the shape of its input."""
        for position, layer in enumerate(self.layers):
            yield position, layer, shape

    def _gathered(self, shape: Shape, what: str, *others: Any) -> dict[str, Any]:
        out: dict[str, Any] = {}
        for position, layer, before in self._shapes(shape):
            out |= _named(position, getattr(layer, what)(before, *others))
        return out

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return self._gathered(shape, "parameters")

    def statistics(self, shape: Shape) -> dict[str, float]:
        return self._gathered(shape, "statistics")

    def initial(self, shape: Shape, random: np.random.Generator) -> dict[str, Array]:
        return self._gathered(shape, "initial", random)

    def multiply_adds(self, shape: Shape) -> int:
        return sum(layer.multiply_adds(before) for _, layer, before in self._shapes(shape))

    def thinner(self, by: int) -> Layer:
        return replace(self, layers=tuple(layer.thinner(by) for layer in self.layers))

    def rows(self, shape: Shape, name: str = "") -> Iterator[Row]:
        for position, layer, before in self._shapes(shape):
            yield from layer.rows(before, f"{name}.{position}".lstrip("."))


@dataclass(frozen=True)
class Sequential(_Several):
    """One layer after the other; none at all is the identity.

    >>> Sequential((Conv2d(6, 5, padding=2), MaxPool2d(2), Flatten())).output_shape((1, 28, 28))
    (1176,)
    """

    def _shapes(self, shape: Shape) -> Iterator[tuple[int, Layer, Shape]]:
        for position, layer in enumerate(self.layers):
            yield position, layer, shape
            shape = layer.output_shape(shape)

    def output_shape(self, shape: Shape) -> Shape:
        for layer in self.layers:
            shape = layer.output_shape(shape)
        return shape

    def window(self) -> receptive.Layer:
        """That of the stack, up to the first layer that sees everything."""
        windows: list[receptive.Layer] = []
        for layer in self.layers:
            if (window := layer.window()) is None:
                break
            windows.append(window)
        size, jump, start = receptive.receptive_field(windows)
        return receptive.Layer(size, jump, padding=-start)

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        back: list[Backward] = []
        statistics: dict[str, Array] = {}
        for position, layer in enumerate(self.layers):
            x, backward, moved = layer.forward(x, inside(values, position), training, method)
            back.append(backward)
            statistics |= _named(position, moved)

        def all_back(gradient: Array) -> tuple[Array, dict[str, Array]]:
            gradients: dict[str, Array] = {}
            for position in reversed(range(len(back))):
                gradient, own = back[position](gradient)
                gradients |= _named(position, own)
            return gradient, gradients

        return Pass(x, all_back, statistics)


@dataclass(frozen=True)
class _Parallel(_Several):
    """Branches that all see the same input; a branch's gradients add up there."""

    def window(self) -> receptive.Layer:
        """The hull of what the branches see."""
        windows = [w for layer in self.layers if (w := layer.window()) is not None]
        start = min(-w.padding for w in windows)
        end = max(w.kernel_size - w.padding for w in windows)
        return receptive.Layer(end - start, windows[0].stride, padding=-start)

    def _joined(self, outputs: list[Array]) -> Array:
        raise NotImplementedError

    def _parts(self, gradient: Array, outputs: list[Array]) -> list[Array]:
        raise NotImplementedError

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        passes = [f.forward(x, inside(values, i), training, method) for i, f in enumerate(self.layers)]
        outputs = [p.output for p in passes]

        def backward(grad_output: Array) -> tuple[Array, dict[str, Array]]:
            gradients: dict[str, Array] = {}
            grad_input: Any = 0
            for position, part in enumerate(self._parts(grad_output, outputs)):
                grad, own = passes[position].backward(part)
                grad_input = grad_input + grad
                gradients |= _named(position, own)
            return grad_input, gradients

        statistics = {name: a for i, p in enumerate(passes) for name, a in _named(i, p.statistics).items()}
        return Pass(self._joined(outputs), backward, statistics)


@dataclass(frozen=True)
class Sum(_Parallel):
    """The sum of branches; with the identity among them a residual connection, f(x) + x [He et al. 2016].

    >>> Sum((Conv2d(8, 3, padding=1), Sequential())).window()
    Layer(kernel_size=3, stride=1, dilation=1, padding=1)
    """

    def output_shape(self, shape: Shape) -> Shape:
        first, *others = (layer.output_shape(shape) for layer in self.layers)
        if any(other != first for other in others):
            raise ValueError(f"branches of a sum give shapes {first} and {others}, but must give the same")
        return first

    def _joined(self, outputs: list[Array]) -> Array:
        total = outputs[0]
        for output in outputs[1:]:
            total = total + output
        return total

    def _parts(self, gradient: Array, outputs: list[Array]) -> list[Array]:
        return [gradient] * len(outputs)


@dataclass(frozen=True)
class Concat(_Parallel):
    """The channels of branches one after the other, as an Inception block joins them [Szegedy et al. 2015].

    >>> Concat((Conv2d(64, 1), Conv2d(128, 3, padding=1))).output_shape((192, 28, 28))
    (192, 28, 28)
    """

    def output_shape(self, shape: Shape) -> Shape:
        shapes = [layer.output_shape(shape) for layer in self.layers]
        if len({s[1:] for s in shapes}) != 1:
            raise ValueError(f"branches of a concatenation give shapes {shapes}, but must differ in channels only")
        return (sum(s[0] for s in shapes), *shapes[0][1:])

    def _joined(self, outputs: list[Array]) -> Array:
        return np.concatenate(outputs, axis=1)

    def _parts(self, gradient: Array, outputs: list[Array]) -> list[Array]:
        ends = np.cumsum([output.shape[1] for output in outputs])[:-1]
        return [np.ascontiguousarray(part) for part in np.split(gradient, ends, axis=1)]
