"""The layers that are timed, as plain data: needs NumPy alone, so that any commit of refconv can be timed with it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha1
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BATCHES", "DTYPES", "GROUPS", "LAYERS", "Layer", "Workload", "choose", "version", "workloads"]

Sizes = tuple[int, ...]

BATCHES = (1, 8)
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Layer:
    """One layer of a network: `input` is (channels, spatial axes), `weight` as the operation takes it, or None."""

    name: str
    group: str
    operation: str
    input: Sizes
    weight: Sizes | None
    arguments: Mapping[str, Any] = field(hash=False)


def _dense(name: str, channels: int, size: int, out: int, kernel: int, **arguments: Any) -> Layer:
    return Layer(name, "dense", "conv2d", (channels, size, size), (out, channels, kernel, kernel), arguments)


def _depthwise(name: str, group: str, channels: int, size: int, kernel: int, **arguments: Any) -> Layer:
    weight = (channels, 1, kernel, kernel)
    return Layer(name, group, "conv2d", (channels, size, size), weight, {"groups": channels, **arguments})


def _pool(name: str, group: str, input: Sizes, kernel: int, **arguments: Any) -> Layer:
    operation = f"{group}_pool{len(input) - 1}d"
    return Layer(name, f"{group}-pool", operation, input, None, {"kernel_size": kernel, **arguments})


# Layers of lenet, alexnet, vgg, nin, googlenet and resnet are those of `network.NETWORKS` (VGG-16, ResNet-18), which
# holds the documents' geometry; the others are their papers'. SPP: spatial pyramid pooling.
_ROWS = (
    _dense("lenet-c1", 1, 32, 6, 5),
    _dense("lenet-c3", 6, 14, 16, 5),
    _dense("alexnet-11x11s4", 3, 224, 96, 11, stride=4, padding=1),
    _dense("alexnet-5x5", 96, 26, 256, 5, padding=2),
    _dense("alexnet-3x3", 256, 12, 384, 3, padding=1),
    _dense("vgg-64@224", 64, 224, 64, 3, padding=1),
    _dense("vgg-128@112", 128, 112, 128, 3, padding=1),
    _dense("vgg-256@56", 256, 56, 256, 3, padding=1),
    _dense("vgg-512@28", 512, 28, 512, 3, padding=1),
    _dense("vgg-512@14", 512, 14, 512, 3, padding=1),
    _dense("resnet-7x7s2", 3, 224, 64, 7, stride=2, padding=3),
    _dense("resnet-64@56", 64, 56, 64, 3, padding=1),
    _dense("resnet-128@28", 128, 28, 128, 3, padding=1),
    _dense("resnet-256@14", 256, 14, 256, 3, padding=1),
    _dense("resnet-512@7", 512, 7, 512, 3, padding=1),
    _dense("resnet-3x3s2", 64, 56, 128, 3, stride=2, padding=1),
    _dense("resnet50-1x1", 256, 56, 64, 1),
    _dense("resnet50-1x1s2", 256, 56, 512, 1, stride=2),
    _dense("nin-1x1", 96, 54, 96, 1),
    _dense("nin-3x3", 384, 5, 1000, 3, padding=1),
    _dense("googlenet-1x1", 192, 28, 64, 1),
    _dense("googlenet-3x3", 96, 28, 128, 3, padding=1),
    _dense("googlenet-5x5", 16, 28, 32, 5, padding=2),
    _dense("mobilenet-1x1", 512, 14, 512, 1),
    _depthwise("mobilenet-32@112", "depthwise", 32, 112, 3, padding=1),
    _depthwise("mobilenet-128@56s2", "depthwise", 128, 56, 3, padding=1, stride=2),
    _depthwise("mobilenet-512@14", "depthwise", 512, 14, 3, padding=1),
    Layer("deeplab-3x3d2", "dilated", "conv2d", (128, 28, 28), (128, 128, 3, 3), {"padding": 2, "dilation": 2}),
    Layer("deeplab-3x3d4", "dilated", "conv2d", (64, 33, 33), (64, 64, 3, 3), {"padding": 4, "dilation": 4}),
    Layer("resnext-128@56", "grouped", "conv2d", (128, 56, 56), (128, 4, 3, 3), {"padding": 1, "groups": 32}),
    Layer("resnext-512@14", "grouped", "conv2d", (512, 14, 14), (512, 16, 3, 3), {"padding": 1, "groups": 32}),
    _depthwise("replknet-31x31", "large", 128, 28, 31, padding=15),
    Layer("image-512-31x31", "large", "conv2d", (1, 512, 512), (1, 1, 31, 31), {}),
    Layer("image-512-5x5", "image", "conv2d", (1, 512, 512), (1, 1, 5, 5), {"padding": 2}),
    Layer("audio-m5-80s4", "1-d", "conv1d", (1, 16000), (64, 1, 80), {"stride": 4}),
    Layer("audio-3", "1-d", "conv1d", (64, 4000), (64, 64, 3), {"padding": 1}),
    Layer("wavenet-2d64", "1-d", "conv1d", (64, 4096), (128, 64, 2), {"dilation": 64}),
    Layer("video-c3d", "3-d", "conv3d", (3, 16, 56, 56), (64, 3, 3, 3, 3), {"padding": 1}),
    Layer("video-r3d", "3-d", "conv3d", (64, 4, 28, 28), (64, 64, 3, 3, 3), {"padding": 1}),
    Layer("dcgan-4x4s2", "transposed", "conv_transpose2d", (256, 8, 8), (256, 128, 4, 4), {"stride": 2, "padding": 1}),
    Layer("unet-2x2s2", "transposed", "conv_transpose2d", (128, 28, 28), (128, 64, 2, 2), {"stride": 2}),
    Layer("vocoder-16s8", "transposed", "conv_transpose1d", (128, 256), (128, 64, 16), {"stride": 8, "padding": 4}),
    _pool("alexnet-max-3s2", "max", (96, 54, 54), 3, stride=2),
    _pool("vgg-max-2s2", "max", (128, 112, 112), 2),
    _pool("resnet-max-3s2", "max", (64, 112, 112), 3, stride=2, padding=1),
    _pool("googlenet-max-3", "max", (192, 28, 28), 3, stride=1, padding=1),
    _pool("spp-max-13", "max", (256, 20, 20), 13, stride=1, padding=6),
    _pool("audio-max-4", "max", (64, 4000), 4),
    _pool("video-max-2", "max", (64, 16, 28, 28), 2),
    _pool("lenet-avg-2s2", "avg", (6, 28, 28), 2),
    _pool("densenet-avg-2s2", "avg", (128, 56, 56), 2),
    _pool("inception-avg-3", "avg", (192, 35, 35), 3, stride=1, padding=1),
    _pool("resnet-avg-7", "avg", (512, 7, 7), 7),
    _pool("video-avg-2", "avg", (64, 16, 28, 28), 2),
)
LAYERS: Mapping[str, Layer] = {row.name: row for row in _ROWS}
GROUPS: tuple[str, ...] = tuple(dict.fromkeys(row.group for row in _ROWS))


@dataclass(frozen=True)
class Workload:
    """One call to be timed: an operation, the shapes of its operands in call order, its arguments, and the dtype."""

    layer: str
    group: str
    operation: str
    shapes: Mapping[str, Sizes] = field(hash=False)
    arguments: Mapping[str, Any] = field(hash=False)
    dtype: str

    @property
    def name(self) -> str:
        """What it is called on the command line and in results.

        >>> next(workloads(["lenet-c3"])).name
        'lenet-c3/conv2d/b1/float32'
        """
        return f"{self.layer}/{self.operation}/b{self.shapes['input'][0]}/{self.dtype}"

    @property
    def kernel_size(self) -> Sizes:
        shape = self.shapes["input"][2:]
        return self.shapes["weight"][2:] if "weight" in self.shapes else (self.arguments["kernel_size"],) * len(shape)

    @property
    def output(self) -> Sizes:
        """Shape of the output of the forward operation.

        >>> next(workloads(["alexnet-11x11s4"])).output
        (1, 96, 54, 54)
        """
        batch, channels, *sizes = self.shapes["input"]
        a, kernel = self.arguments, self.kernel_size
        p, d = a.get("padding", 0), a.get("dilation", 1)
        s = a.get("stride") or (1 if "weight" in self.shapes else a["kernel_size"])
        pairs = [(n, d * (k - 1) + 1) for n, k in zip(sizes, kernel, strict=True)]
        if self.operation.startswith("conv_transpose"):
            return (batch, self.shapes["weight"][1], *((n - 1) * s - 2 * p + e for n, e in pairs))
        channels = self.shapes["weight"][0] if "weight" in self.shapes else channels
        return (batch, channels, *((n + 2 * p - e) // s + 1 for n, e in pairs))

    @property
    def multiply_adds(self) -> int:
        """Products of direct summation, padded ones included; none for pooling. A gradient has twice as many."""
        if "weight" not in self.shapes:
            return 0
        transposed = self.operation.startswith("conv_transpose")
        points = self.shapes["input"] if transposed else self.output
        return prod(points) * prod(self.shapes["weight"][1:]) * (2 if self.operation.endswith("_backward") else 1)

    def backward(self) -> Workload:
        """The gradients of this call (there are none of transposed convolutions).

        >>> next(workloads(["lenet-c3"])).backward().shapes["grad_output"]
        (1, 16, 10, 10)
        """
        if self.operation.startswith("conv_transpose"):
            raise ValueError(f"{self.operation} has no operation for its gradients")
        return replace(self, operation=f"{self.operation}_backward", shapes={"grad_output": self.output, **self.shapes})

    def operands(self, seed: int) -> dict[str, NDArray[Any]]:
        """New operands: uniform numbers in [-0.5, 0.5), of all magnitudes that rounding errors are made of.

        >>> [a.shape for a in next(workloads(["lenet-c1"])).operands(0).values()]
        [(1, 1, 32, 32), (6, 1, 5, 5)]
        """
        rng: Any = np.random.default_rng(seed)
        return {name: rng.random(shape, dtype=self.dtype) - self._half for name, shape in self.shapes.items()}

    @property
    def _half(self) -> Any:
        return np.dtype(self.dtype).type(0.5)


def workloads(
    layers: Any = LAYERS, batches: tuple[int, ...] = BATCHES, dtypes: tuple[str, ...] = DTYPES
) -> Iterator[Workload]:
    """The forward calls of the layers of these names, with every batch size and dtype.

    >>> sum(1 for _ in workloads(["lenet-c1", "lenet-c3"]))
    8
    """
    for row in (LAYERS[name] for name in layers):
        for batch in batches:
            shapes = {"input": (batch, *row.input)} | ({"weight": row.weight} if row.weight else {})
            for dtype in dtypes:
                yield Workload(row.name, row.group, row.operation, shapes, row.arguments, dtype)


def choose(words: tuple[str, ...]) -> list[str]:
    """The layers whose name or group is one of these words, all where there is none.

    >>> choose(("depthwise", "lenet-c1"))
    ['lenet-c1', 'mobilenet-32@112', 'mobilenet-128@56s2', 'mobilenet-512@14']
    """
    known = (*GROUPS, *LAYERS)
    for word in words:
        if word not in known:
            raise ValueError(f"layer {word!r} is unknown: choose a group ({', '.join(GROUPS)}) or a layer of one")
    return [row.name for row in _ROWS if not words or row.name in words or row.group in words]


def version(layers: Any = LAYERS) -> str:
    """Changes where the work changes: results of different work are not to be compared.

    >>> version(["lenet-c1"]) == version(["lenet-c3"])
    False
    """
    return sha1(repr([LAYERS[name] for name in layers]).encode()).hexdigest()
