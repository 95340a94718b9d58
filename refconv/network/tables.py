"""The networks of the course notes, each as one table of layers at its published input size.

Counting a network needs no weights: shapes are carried from row to row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refconv.network.layers import (
    AvgPool2d,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dense,
    Flatten,
    GlobalAvgPool,
    Layer,
    MaxPool2d,
    Pass,
    ReLU,
    Row,
    Sequential,
    Shape,
    Sum,
    Tanh,
    Values,
)
from refconv.receptive import ReceptiveField

__all__ = ["NETWORKS", "Network"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Network:
    """A table of layers, the shape of the images it is for, and where it was published.

    >>> NETWORKS["resnet18"].parameter_count
    11689512
    """

    name: str
    source: str
    input_shape: Shape
    body: Sequential

    @cached_property
    def parameter_shapes(self) -> dict[str, Shape]:
        """The shape of each parameter by its name, as "0.weight"."""
        return self.body.parameters(self.input_shape)

    @property
    def parameter_count(self) -> int:
        """How many numbers are learnt; running statistics are not."""
        return sum(map(prod, self.parameter_shapes.values()))

    @property
    def output_shape(self) -> Shape:
        return self.body.output_shape(self.input_shape)

    @property
    def multiply_adds(self) -> int:
        """Products of one image's forward pass in convolutions and dense layers."""
        return self.body.multiply_adds(self.input_shape)

    @property
    def receptive_field(self) -> ReceptiveField:
        """What one place of the last feature map sees of the image, along one axis."""
        window = self.body.window()
        return ReceptiveField(window.kernel_size, window.stride, -window.padding)

    @cached_property
    def rows(self) -> list[Row]:
        """Every single layer with its name and the shapes before and after it.

        >>> NETWORKS["lenet5"].rows[7]
        Row(name='7', layer=Dense(features=120), input_shape=(400,), output_shape=(120,))
        """
        return list(self.body.rows(self.input_shape))

    def small(self, by: int, input_shape: Shape) -> Network:
        """The same table with its channels divided by a number and another size of images, for tests.

        >>> NETWORKS["vgg11"].small(16, (3, 32, 32)).output_shape
        (63,)
        """
        body = self.body.thinner(by)
        assert isinstance(body, Sequential)
        for row in body.rows(input_shape):
            if 0 in row.output_shape:
                raise ValueError(
                    f"`input_shape` is {input_shape}, but must be larger: layer {row.name} of {self.name} gives "
                    f"{row.output_shape}"
                )
        return replace(self, input_shape=input_shape, body=body)

    def initial(self, seed: int, dtype: str = "float64") -> dict[str, Array]:
        """Parameters drawn at random and the running statistics' first values.

        >>> sorted(NETWORKS["lenet5"].initial(0))[:2]
        ['0.bias', '0.weight']
        """
        values = self.body.initial(self.input_shape, np.random.default_rng(seed))
        for name, start in self.body.statistics(self.input_shape).items():
            channels = values[name.rpartition(".")[0] + ".weight"].shape
            values[name] = np.full(channels, start)
        return {name: a.astype(dtype) for name, a in values.items()}

    def forward(self, x: Array, values: Values, training: bool = False, method: str = "auto") -> Pass:
        """The output for a batch of images, with the way back.

        >>> net = NETWORKS["lenet5"]
        >>> net.forward(np.zeros((2, 1, 28, 28)), net.initial(0)).output.shape
        (2, 10)
        """
        if x.shape[1:] != self.input_shape:
            raise ValueError(f"`x` has shape {x.shape}, but {self.name} takes (N, {str(self.input_shape)[1:]}")
        for name, shape in self.parameter_shapes.items():
            if name not in values or values[name].shape != shape:
                got = f"has shape {values[name].shape}" if name in values else "is missing"
                raise ValueError(f"`values[{name!r}]` {got}, but must have shape {shape}")
        return self.body.forward(x, values, training, method)


def _stack(*layers: Layer | tuple[Layer, ...]) -> Sequential:
    """Rows one after the other; a tuple stands for several."""
    flat = [one for layer in layers for one in (layer if isinstance(layer, tuple) else (layer,))]
    return Sequential(tuple(flat))


def _conv(channels: int, kernel: int, stride: int = 1, padding: int = 0) -> tuple[Layer, Layer]:
    return Conv2d(channels, kernel, stride, padding), ReLU()


def _dense(*features: int) -> tuple[Layer, ...]:
    """Dense layers with ReLU between them, after flattening."""
    *hidden, last = features
    return (Flatten(), *(layer for n in hidden for layer in (Dense(n), ReLU())), Dense(last))


def _vgg(*blocks: tuple[int, int]) -> Sequential:
    """Blocks of (convolutions, channels), each halving the image."""
    convolutions = [(*(_conv(c, 3, 1, 1) * n), MaxPool2d(2)) for n, c in blocks]
    return _stack(*convolutions, _dense(4096, 4096, 1000))


def _nin(channels: int, kernel: int, stride: int, padding: int) -> tuple[Layer, ...]:
    """A convolution, then twice a 1x1 convolution: a dense layer for each pixel."""
    return _conv(channels, kernel, stride, padding) + _conv(channels, 1) + _conv(channels, 1)


def _inception(one: int, three: tuple[int, int], five: tuple[int, int], pooled: int) -> Layer:
    """Four branches: 1x1; 1x1 then 3x3; 1x1 then 5x5; pooling then 1x1."""
    return Concat(
        (
            _stack(_conv(one, 1)),
            _stack(_conv(three[0], 1), _conv(three[1], 3, padding=1)),
            _stack(_conv(five[0], 1), _conv(five[1], 5, padding=2)),
            _stack(MaxPool2d(3, 1, 1), _conv(pooled, 1)),
        )
    )


def _normal(channels: int, kernel: int, stride: int = 1, padding: int = 0) -> tuple[Layer, Layer]:
    return Conv2d(channels, kernel, stride, padding, bias=False), BatchNorm2d()


def _residual(channels: int, stride: int = 1, projects: bool = False) -> tuple[Layer, Layer]:
    """relu(f(x) + x), where x is projected if its shape changes."""
    f = _stack(_normal(channels, 3, stride, 1), ReLU(), _normal(channels, 3, 1, 1))
    return Sum((f, _stack(_normal(channels, 1, stride) if projects else ()))), ReLU()


_LENET5 = _stack(
    *(Conv2d(6, 5, padding=2), Tanh(), AvgPool2d(2)),
    *(Conv2d(16, 5), Tanh(), AvgPool2d(2)),
    *(Flatten(), Dense(120), Tanh(), Dense(84), Tanh(), Dense(10)),
)
_ALEXNET = _stack(
    *(_conv(96, 11, 4, 1), MaxPool2d(3, 2)),
    *(_conv(256, 5, 1, 2), MaxPool2d(3, 2)),
    *(_conv(384, 3, 1, 1), _conv(384, 3, 1, 1), _conv(256, 3, 1, 1), MaxPool2d(3, 2)),
    _dense(4096, 4096, 1000),
)
_NIN = _stack(
    *(_nin(96, 11, 4, 0), MaxPool2d(3, 2)),
    *(_nin(256, 5, 1, 2), MaxPool2d(3, 2)),
    *(_nin(384, 3, 1, 1), MaxPool2d(3, 2)),
    *(_nin(1000, 3, 1, 1), GlobalAvgPool()),
)
_GOOGLENET = _stack(
    *(_conv(64, 7, 2, 3), MaxPool2d(3, 2, 1)),
    *(_conv(64, 1), _conv(192, 3, 1, 1), MaxPool2d(3, 2, 1)),
    *(_inception(64, (96, 128), (16, 32), 32), _inception(128, (128, 192), (32, 96), 64), MaxPool2d(3, 2, 1)),
    *(_inception(192, (96, 208), (16, 48), 64), _inception(160, (112, 224), (24, 64), 64)),
    *(_inception(128, (128, 256), (24, 64), 64), _inception(112, (144, 288), (32, 64), 64)),
    *(_inception(256, (160, 320), (32, 128), 128), MaxPool2d(3, 2, 1)),
    *(_inception(256, (160, 320), (32, 128), 128), _inception(384, (192, 384), (48, 128), 128)),
    *(GlobalAvgPool(), Dense(1000)),
)
_RESNET18 = _stack(
    *(_normal(64, 7, 2, 3), ReLU(), MaxPool2d(3, 2, 1)),
    *(_residual(64), _residual(64)),
    *(_residual(128, 2, projects=True), _residual(128)),
    *(_residual(256, 2, projects=True), _residual(256)),
    *(_residual(512, 2, projects=True), _residual(512)),
    *(GlobalAvgPool(), Dense(1000)),
)

_IMAGENET = (3, 224, 224)
NETWORKS: Mapping[str, Network] = {
    network.name: network
    for network in (
        Network("lenet5", "LeCun, Bottou, Bengio, Haffner 1998", (1, 28, 28), _LENET5),
        Network("alexnet", "Krizhevsky, Sutskever, Hinton 2012; padding and size of the notes", _IMAGENET, _ALEXNET),
        Network(
            "vgg11", "Simonyan, Zisserman 2015, A", _IMAGENET, _vgg((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))
        ),
        Network(
            "vgg16", "Simonyan, Zisserman 2015, D", _IMAGENET, _vgg((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
        ),
        Network("nin", "Lin, Chen, Yan 2014", _IMAGENET, _NIN),
        Network("googlenet", "Szegedy et al. 2015, without the auxiliary classifiers", _IMAGENET, _GOOGLENET),
        Network("resnet18", "He, Zhang, Ren, Sun 2016", _IMAGENET, _RESNET18),
    )
}
