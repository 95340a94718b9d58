"""What makes a network learn: the loss, the gradients of all parameters, and a step of gradient descent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refconv.network.layers import Layer, Values

__all__ = ["SGD", "Gradients", "Loss", "gradients", "softmax_cross_entropy"]

Array = NDArray[Any]


class Loss(NamedTuple):
    """The mean loss of a batch, and its gradient with respect to the network's output."""

    value: Any
    gradient: Array


class Gradients(NamedTuple):
    """The loss of a batch, its gradient with respect to each parameter, the running statistics as they are now."""

    loss: Any
    parameters: dict[str, Array]
    statistics: dict[str, Array]
    logits: Array


def softmax_cross_entropy(logits: Array, labels: ArrayLike) -> Loss:
    """The mean over the batch of log(sum of exp(z)) - z[label], and its gradient (softmax(z) - one-hot) / N.

    As `torch.nn.functional.cross_entropy`; the largest logit is taken off first, so nothing overflows
    [Bridle 1990; Goodfellow, Bengio, Courville 2016, sec. 6.2.2.3].

    Parameters
    ----------
    logits : array (N, classes)
    labels : array (N,) of integers
        The right class of each example, from 0.

    Returns
    -------
    Loss
        `value`, and `gradient` (N, classes).

    Raises
    ------
    ValueError
        When the shapes do not fit, the batch is empty, or a label names no class.

    Examples
    --------
    >>> softmax_cross_entropy(np.zeros((1, 4)), [2]).gradient
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """
    right = np.asarray(labels)
    if logits.ndim != 2 or right.shape != logits.shape[:1] or not len(right):
        raise ValueError(
            f"`labels` has shape {right.shape} and `logits` {logits.shape}, but they must be (N,) and (N, classes) "
            "with N at least 1"
        )
    if right.dtype.kind not in "iu" or right.min() < 0 or right.max() >= logits.shape[1]:
        raise ValueError(f"`labels` must be integers from 0 to {logits.shape[1] - 1}, one class of each example")
    below = logits - logits.max(axis=1, keepdims=True)
    powers = np.exp(below)
    total = powers.sum(axis=1, keepdims=True)
    each = np.arange(len(right))
    gradient = powers / total
    gradient[each, right] -= 1
    value = (np.log(total[:, 0]) - below[each, right]).mean()
    return Loss(value, gradient / logits.dtype.type(len(right)))


def gradients(
    layer: Layer, x: Array, labels: ArrayLike, values: Values, training: bool = True, method: str = "auto"
) -> Gradients:
    """The loss of a batch and the gradient of every parameter: once forward, once back [Rumelhart et al. 1986].

    >>> from refconv.network import Dense
    >>> zero = {"weight": np.zeros((2, 3)), "bias": np.zeros(2)}
    >>> gradients(Dense(2), np.ones((1, 3)), [0], zero).parameters["bias"]
    array([-0.5,  0.5])
    """
    output, backward, statistics = layer.forward(x, values, training, method)
    loss = softmax_cross_entropy(output, labels)
    return Gradients(loss.value, backward(loss.gradient)[1], statistics, output)


@dataclass(frozen=True)
class SGD:
    """Stochastic gradient descent with momentum: v <- m v + g, p <- p - lr v [Polyak 1964], as `torch.optim.SGD`.

    >>> descent = SGD(lr=0.5, momentum=0.5)
    >>> values, velocity = descent.step({"w": np.array([1.0])}, {"w": np.array([1.0])}, {})
    >>> descent.step(values, {"w": np.array([1.0])}, velocity)
    ({'w': array([-0.25])}, {'w': array([1.5])})
    """

    lr: float
    momentum: float = 0.0

    def step(self, values: Values, gradients: Values, velocity: Values) -> tuple[dict[str, Array], dict[str, Array]]:
        """The values after a step and the velocity to go on with; no velocity yet is {}."""
        moving = {n: self.momentum * velocity[n] + g if n in velocity else g for n, g in gradients.items()}
        return {n: a - self.lr * moving[n] if n in moving else a for n, a in values.items()}, moving
