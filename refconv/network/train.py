"""LeNet learns scikit-learn's handwritten digits by our own backward pass: `python -m refconv.network.train`.

1797 images of 8x8 dots, drawn larger by 3 and framed by 2 to LeNet's 28x28; four fifths to learn from, a fifth to test.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refconv.algorithms import ALGORITHMS
from refconv.network.layers import Values
from refconv.network.learning import SGD, gradients
from refconv.network.tables import NETWORKS, Network
from refconv.pooling import upsample

__all__ = ["Digits", "Epoch", "accuracy", "digits", "main", "train"]

Array = NDArray[Any]

DESCRIPTION = """\
Train LeNet-5 on scikit-learn's handwritten digits with refconv's own forward
and backward pass, and say how many of the images it has not seen it reads.
"""
EXAMPLES = """\
examples:
  python -m refconv.network.train                   a few seconds on one core
  python -m refconv.network.train --method fft      the same by Fourier transforms
  python -m refconv.network.train --json run.json   every epoch's figures

exit code: 0 the target is met, 1 it is not, 4 usage error
"""
MET, MISSED, USAGE_ERROR = 0, 1, 4


class Digits(NamedTuple):
    """Images (N, 1, 28, 28) from 0 to 1 and their classes, to learn from and to test with."""

    images: Array
    labels: Array
    test_images: Array
    test_labels: Array


@dataclass(frozen=True)
class Epoch:
    """Once through all images: the mean loss on the way, and the share of test images read right afterwards."""

    number: int
    loss: float
    accuracy: float
    seconds: float


def digits(dtype: str = "float32") -> Digits:
    """The data set that ships in scikit-learn, split at random but always the same way.

    >>> [part.shape for part in digits()]
    [(1437, 1, 28, 28), (1437,), (360, 1, 28, 28), (360,)]
    """
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    large = upsample(images.reshape(-1, 1, 8, 8).astype(dtype) / np.dtype(dtype).type(16), 3)
    framed = np.pad(large, [(0, 0), (0, 0), (2, 2), (2, 2)])
    order = np.random.default_rng(0).permutation(len(framed))
    learn, test = order[:1437], order[1437:]
    return Digits(framed[learn], labels[learn], framed[test], labels[test])


def accuracy(network: Network, values: Values, images: Array, labels: Array, method: str = "auto") -> float:
    """The share of images whose largest output is that of their class.

    >>> net = NETWORKS["lenet5"]
    >>> accuracy(net, net.initial(0), np.zeros((0, 1, 28, 28)), np.zeros(0))
    Traceback (most recent call last):
    ValueError: `images` is empty, but must hold at least one image
    """
    if not len(images):
        raise ValueError("`images` is empty, but must hold at least one image")
    read = network.forward(images, values, method=method).output.argmax(axis=1)
    return float((read == labels).mean())


def train(
    network: Network,
    data: Digits,
    descent: SGD,
    epochs: int,
    batch: int = 32,
    seed: int = 0,
    method: str = "auto",
) -> Iterator[Epoch]:
    """Epoch after epoch, each over all images in an order of its own; weights are drawn from the seed.

    >>> few = Digits(*(part[:32] for part in digits()))
    >>> [epoch.number for epoch in train(NETWORKS["lenet5"], few, SGD(lr=0.05), epochs=2)]
    [1, 2]
    """
    values: Values = network.initial(seed, data.images.dtype.name)
    velocity: Values = {}
    random = np.random.default_rng(seed + 1)
    for number in range(1, epochs + 1):
        started, losses = time.perf_counter(), []
        order = random.permutation(len(data.images))
        for part in np.split(order, range(batch, len(order), batch)):
            found = gradients(network.body, data.images[part], data.labels[part], values, method=method)
            values, velocity = descent.step({**values, **found.statistics}, found.parameters, velocity)
            losses.append(float(found.loss) * len(part))
        right = accuracy(network, values, data.test_images, data.test_labels, method)
        yield Epoch(number, sum(losses) / len(order), right, time.perf_counter() - started)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; its exit code says whether the target was met."""
    parser = argparse.ArgumentParser(
        prog="python -m refconv.network.train",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        exit_on_error=False,
    )
    methods = ["auto", *ALGORITHMS]
    parser.add_argument("--epochs", type=int, default=15, help="times through all images (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=32, help="images in each step (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=0.05, help="learning rate (default: %(default)s)")
    parser.add_argument("--momentum", type=float, default=0.9, help="of the descent (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="another N draws other weights (default: %(default)s)")
    parser.add_argument("--method", default="auto", metavar="NAME", help=f"of convolution: {', '.join(methods)}")
    parser.add_argument("--target", type=float, default=0.97, help="share to be read right (default: %(default)s)")
    parser.add_argument("--json", metavar="FILE", help="write the figures of every epoch to FILE")
    try:
        options = parser.parse_args(arguments)
        _check(options, methods)
        from threadpoolctl import threadpool_limits

        data = digits()
    except (argparse.ArgumentError, ValueError) as error:
        return _refuse(str(error))
    except SystemExit as stop:
        return USAGE_ERROR if stop.code else MET
    except ImportError:
        return _refuse("the digits need scikit-learn: pip install 'refconv[learn]'")
    with threadpool_limits(1):  # the products of so few images are too small to share: two threads wait for each other
        return _run(options, data)


def _refuse(reason: str) -> int:
    print(f"train: {reason}", file=sys.stderr)
    return USAGE_ERROR


def _check(options: argparse.Namespace, methods: list[str]) -> None:
    if options.method not in methods:
        raise ValueError(f"--method is {options.method!r}, but must be one of {', '.join(methods)}")
    for name, least in (("epochs", 1), ("batch", 1), ("lr", 0.0), ("momentum", 0.0), ("seed", 0)):
        if not getattr(options, name) >= least:
            raise ValueError(f"--{name} is {getattr(options, name)}, but must be at least {least}")
    if options.json and not Path(options.json).resolve().parent.is_dir():
        raise ValueError(f"--json is {options.json!r}, but its folder does not exist")


def _run(options: argparse.Namespace, data: Digits) -> int:
    network = NETWORKS["lenet5"]
    print(f"LeNet-5, {network.parameter_count} parameters, learns {len(data.images)} images")
    epochs: list[Epoch] = []
    descent = SGD(options.lr, options.momentum)
    for epoch in train(network, data, descent, options.epochs, options.batch, options.seed, options.method):
        epochs.append(epoch)
        print(
            f"epoch {epoch.number:2}  loss {epoch.loss:.4f}  test accuracy {epoch.accuracy:.2%}  {epoch.seconds:.1f} s",
            flush=True,
        )
    met = epochs[-1].accuracy >= options.target
    seconds = sum(epoch.seconds for epoch in epochs)
    said = "target met" if met else "TARGET MISSED"
    read = f"{epochs[-1].accuracy:.2%} of {len(data.test_images)} test images read"
    print(f"{said}: {read} ({options.target:.0%} asked for), {seconds:.0f} s")
    if options.json:
        settings = {name: value for name, value in vars(options).items() if name != "json"}
        about = {"settings": settings, "met": met, "seconds": seconds, "epochs": [vars(epoch) for epoch in epochs]}
        _write(Path(options.json), json.dumps(about, indent=1) + "\n")
    return MET if met else MISSED


def _write(path: Path, text: str) -> None:
    """All of it or nothing."""
    handle, name = tempfile.mkstemp(dir=path.resolve().parent)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    Path(name).chmod(0o644)
    Path(name).replace(path)


if __name__ == "__main__":
    sys.exit(main())
