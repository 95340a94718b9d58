"""How far a computed network, its loss and its gradients may be from the exact ones: a running error bound.

Each array goes with one number, a bound on its error in the 2-norm. A layer passes an error on with its Lipschitz
constant and adds what it rounds itself: e <- L e + r. What convolutions and poolings round is `refconv.bound`'s
matter, in any order of summation, so the bound holds for every implementation of the class on the same weights; two
of them differ by at most the sum of their bounds. Where an error could turn a ReLU or move a maximum, the gradient
jumps and its bound is infinite. Backward, the errors of both factors of every product count. Running bounds go back
to Wilkinson 1963; that a scalar stands for each array keeps them useful through many layers.

u is the unit roundoff. SLACK covers that local roundings are taken at our values, while another implementation's
inputs differ from them by 2 e at most: that changes a rounding of n u |W| |x| by 2 n u | |W| | e, far below L e / 1000.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import singledispatch
from math import inf, prod, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refconv import bound
from refconv.algorithms import ALGORITHMS
from refconv.claims import Claims
from refconv.dtypes import format_of
from refconv.network.layers import (
    AvgPool2d,
    Backward,
    BatchNorm2d,
    Concat,
    Conv2d,
    Dense,
    Flatten,
    GlobalAvgPool,
    Layer,
    LocallyConnected2d,
    MaxPool2d,
    ReLU,
    Sequential,
    Sigmoid,
    Sum,
    Tanh,
    Values,
    inside,
)
from refconv.network.learning import softmax_cross_entropy
from refconv.spec import OPERATIONS, Case, PoolSpec

__all__ = ["Bounded", "BoundedGradients", "How", "bounded_loss", "bounded_pass", "gradient_errors"]

Array = NDArray[Any]
SLACK = 1 + 2.0**-10
ELEMENTARY = 4  # unit roundoffs, relative: exp, log and tanh within 2 units in the last place


class Bounded(NamedTuple):
    """An array as computed, and a bound on the 2-norm of its distance to the exact one.

    `zeros` says that its zeros are exact: they lie behind a ReLU whose sides are certain.
    """

    value: Array
    error: float
    zeros: bool = False


class BoundedGradients(NamedTuple):
    """Loss, logits and the gradient of every parameter, each with its error."""

    loss: Bounded
    logits: Bounded
    parameters: dict[str, Bounded]


Back = Callable[[Bounded], tuple[Bounded, dict[str, Bounded]]]


class How(NamedTuple):
    """As in `Layer.forward`."""

    training: bool
    method: str


def gradient_errors(
    layer: Layer, x: Array, labels: ArrayLike, values: Values, training: bool = True, method: str = "auto"
) -> BoundedGradients:
    """The loss and every gradient as `refconv.network.gradients` computes them, each with a bound on its error.

    Parameters
    ----------
    layer : Layer
        A network's `body`, or any layer that ends in (N, classes).
    x, values : arrays
        Taken as exact.
    labels, training, method
        As in `refconv.network.gradients`.

    Returns
    -------
    BoundedGradients
        Errors are 2-norms; infinite for gradients where rounding could change the side of a ReLU or a maximum.

    Raises
    ------
    NotImplementedError
        For a layer that has no error analysis.

    Examples
    --------
    >>> from refconv.network import Dense
    >>> weights = {"weight": np.eye(2), "bias": np.zeros(2)}
    >>> found = gradient_errors(Dense(2), np.array([[0.5, 0.25]]), [0], weights)
    >>> found.logits.error, 0 < found.parameters["weight"].error < 1e-14
    (0.0, True)
    """
    logits, back = bounded_pass(layer, Bounded(x, 0.0), values, How(training, method))
    loss, gradient = bounded_loss(logits, labels)
    _, parameters = back(gradient)
    return BoundedGradients(loss, logits, parameters)


def bounded_loss(logits: Bounded, labels: ArrayLike) -> tuple[Bounded, Bounded]:
    """The loss and its gradient, each with its error.

    log(sum exp) - z[label] has a gradient of norm at most sqrt(2) for each example; softmax, at most 1/2.
    """
    z = logits.value
    loss = softmax_cross_entropy(z, labels)
    u, count = _u(z), z.shape[0]
    below = np.abs(z - z.max(axis=1, keepdims=True))
    rounded = u * (2 * ELEMENTARY + 2) * (below.max(axis=1) + z.shape[1] + 2)  # of log softmax, each example
    value = Bounded(
        np.asarray(loss.value),
        sqrt(2 / count) * logits.error * SLACK + float(rounded.mean()) + (count + 1) * u * float(abs(loss.value)),
    )
    one_hot = np.arange(z.shape[1]) == np.asarray(labels)[:, None]
    shares = loss.gradient * count + one_hot  # softmax(z)
    local = shares * (rounded[:, None] + ELEMENTARY * u) + 4 * u * (shares + one_hot)
    return value, Bounded(loss.gradient, 0.5 * logits.error / count * SLACK + _norm(local) / count)


# ---------------------------------------------------------------------------------------------------- arithmetic


def _u(array: Array) -> float:
    return format_of(array.dtype.name).unit_roundoff


def _norm(array: Any) -> float:
    return float(np.linalg.norm(np.ravel(array))) * (1 + 1e-10)


def _largest_singular_value(matrices: Array) -> float:
    return float(np.linalg.svd(matrices, compute_uv=False).max()) * (1 + 1e-10)


def _passed(constant: float, error: float, rounding: float) -> float:
    """e <- L e + r; what is exact stays so through anything."""
    return (constant * error if error else 0.0) * SLACK + rounding * SLACK


def _product(x: Bounded, g: Bounded) -> float:
    """The error of the largest product of two arrays, |B(x, g)| <= |x| |g|."""
    return x.error * _norm(g.value) + (_norm(x.value) + x.error) * g.error if x.error or g.error else 0.0


def _rounding(name: str, operands: dict[str, Array], arguments: dict[str, Any], method: str) -> dict[str, float]:
    """What one operation rounds, by the error class of the method that computes it."""
    dtype = next(iter(operands.values())).dtype.name
    case = Case(OPERATIONS[name], operands, arguments, dtype)
    claims = Claims(algorithm=_claim(case, method))
    return {result: _norm(allowed) for result, allowed in bound.allowed(case, claims).items()}


def _claim(case: Case, method: str) -> str:
    if method == "auto" or "conv" not in case.operation.kind:
        return "direct"
    row, x, w = ALGORITHMS[method], case.operands["input"], case.operands["weight"]
    place = case.operation.name, case.conv, x.shape[2:], w.shape[2:]
    lacks = case.operation.kind == "conv_backward" and row.weight_grad is None
    return "direct" if lacks or row.refuses(*place, x.dtype) else row.claim(*place)


def _overlap(kernel: Any, stride: Any) -> int:
    """In how many windows an input cell can lie."""
    return prod(-(-k // s) for k, s in zip(kernel, stride, strict=True))


def conv_norm(layer: Conv2d, weight: Array, input_size: tuple[int, ...]) -> float:
    """The 2-norm of a convolution as a matrix, bounded by that of the circular one on the padded image.

    A circular convolution is a block of out_channels x in_channels for each frequency; padding, striding and the
    border only take rows and columns away [Sedghi, Gupta, Long 2019].

    >>> round(conv_norm(Conv2d(1, 3), np.ones((1, 1, 3, 3)), (8, 8)), 6)
    9.0
    """
    spec = layer.spec
    padded = tuple(n + a + b for n, (a, b) in zip(input_size, spec.padding, strict=True))
    spread = np.zeros((*weight.shape[:2], *padded))
    spread[:, :, : padded[0] : spec.dilation[0], : padded[1] : spec.dilation[1]][
        :, :, : weight.shape[2], : weight.shape[3]
    ] = weight
    symbols = np.moveaxis(np.fft.rfft2(spread), (0, 1), (-2, -1))  # (frequencies..., out_channels, C / groups)
    return max(_largest_singular_value(part) for part in np.split(symbols, spec.groups, axis=-2))


# ---------------------------------------------------------------------------------------------- layer by layer


@singledispatch
def bounded_pass(layer: Layer, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    """The output of a layer with its error, and the way back for gradients with theirs."""
    raise NotImplementedError(f"`layer` is a {type(layer).__name__}, but must be one that has an error analysis")


@bounded_pass.register
def _(layer: Sequential, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    back: list[Back] = []
    for position, one in enumerate(layer.layers):
        x, backward = bounded_pass(one, x, inside(values, position), how)
        back.append(backward)

    def all_back(g: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
        out: dict[str, Bounded] = {}
        for position in reversed(range(len(back))):
            g, own = back[position](g)
            out |= {f"{position}.{name}": one for name, one in own.items()}
        return g, out

    return x, all_back


def _branches(layer: Sum | Concat, x: Bounded, values: Values, how: How) -> tuple[list[Bounded], list[Back]]:
    results = [bounded_pass(one, x, inside(values, i), how) for i, one in enumerate(layer.layers)]
    return [y for y, _ in results], [back for _, back in results]


def _added(arrays: list[Bounded]) -> Bounded:
    value: Any = sum(a.value for a in arrays)
    rounding = (len(arrays) - 1) * _u(value) * _norm(sum(np.abs(a.value) for a in arrays))
    return Bounded(value, _passed(1, sum(a.error for a in arrays), rounding))


def _all_back(back: list[Back], parts: list[Bounded]) -> tuple[Bounded, dict[str, Bounded]]:
    grads: list[Bounded] = []
    out: dict[str, Bounded] = {}
    for position, (backward, part) in enumerate(zip(back, parts, strict=True)):
        grad, own = backward(part)
        grads.append(grad)
        out |= {f"{position}.{name}": one for name, one in own.items()}
    return _added(grads), out


@bounded_pass.register
def _(layer: Sum, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    outputs, back = _branches(layer, x, values, how)
    return _added(outputs), lambda g: _all_back(back, [g] * len(back))


@bounded_pass.register
def _(layer: Concat, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    outputs, back = _branches(layer, x, values, how)
    ends = np.cumsum([y.value.shape[1] for y in outputs])[:-1]
    joined = np.concatenate([y.value for y in outputs], axis=1)

    def backward(g: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
        parts = [np.ascontiguousarray(part) for part in np.split(g.value, ends, axis=1)]
        return _all_back(back, [Bounded(part, g.error) for part in parts])

    return Bounded(joined, _norm([y.error for y in outputs]), all(y.zeros for y in outputs)), backward


def _products_back(
    backward: Backward, x: Bounded, constant: float, overlap: float, rounds: Callable[[Array], dict[str, float]]
) -> Back:
    """The way back through a layer of products with a weight, under which a cell of x lies at most `overlap` times."""

    def back(g: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
        grad_input, own = backward(g.value)
        rounding = rounds(g.value)
        errors = {
            "weight": _passed(sqrt(overlap), _product(x, g), rounding["grad_weight"]),
            "bias": _passed(sqrt(g.value.size / g.value.shape[1]), g.error, rounding["grad_bias"]),
        }
        error = _passed(constant, g.error, rounding["grad_input"])
        return Bounded(grad_input, error), {name: Bounded(a, errors[name]) for name, a in own.items()}

    return back


@bounded_pass.register
def _(layer: Conv2d, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    y, backward, _ = layer.forward(x.value, values, *how)
    weight, arguments = values["weight"], layer.geometry()
    operands = {"input": x.value, "weight": weight}
    bias = {"bias": values["bias"]} if layer.bias else {}
    rounding = _rounding("conv2d", {**operands, **bias}, arguments, how.method)["output"]
    constant = conv_norm(layer, weight, x.value.shape[2:])
    # a dilated window may meet a cell with each of its taps
    overlap = _overlap(layer.kernel, (1, 1) if max(layer.spec.dilation) > 1 else layer.spec.stride)

    def rounds(g: Array) -> dict[str, float]:
        return _rounding("conv2d_backward", {"grad_output": g, **operands}, arguments, how.method)

    back = _products_back(backward, x, constant, overlap, rounds)
    return Bounded(y, _passed(constant, x.error, rounding)), back


@bounded_pass.register
def _(layer: Dense, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    """A convolution with one tap of one position."""
    y, backward, _ = layer.forward(x.value, values, *how)
    operands = {"input": x.value[:, :, None], "weight": values["weight"][:, :, None]}
    rounding = _rounding("conv1d", {**operands, "bias": values["bias"]}, {}, "auto")["output"]
    constant = _largest_singular_value(values["weight"])

    def rounds(g: Array) -> dict[str, float]:
        return _rounding("conv1d_backward", {"grad_output": g[:, :, None], **operands}, {}, "auto")

    return Bounded(y, _passed(constant, x.error, rounding)), _products_back(backward, x, constant, 1, rounds)


@bounded_pass.register
def _(layer: LocallyConnected2d, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    """Sums of n products within n + 1 roundings, n u of the same sums of absolute values [Higham 2002, sec. 3.1]."""
    y, backward, _ = layer.forward(x.value, values, *how)
    u, weight = _u(y), values["weight"]
    taps, overlap = weight.shape[-1], _overlap(layer.kernel, layer.spec.stride)
    absolute = layer.forward(np.abs(x.value), {name: np.abs(a) for name, a in values.items()})
    kernels = weight.reshape(layer.out_channels, -1, taps).transpose(1, 0, 2)
    constant = _largest_singular_value(kernels) * sqrt(overlap)

    def back(g: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
        grad_input, own = backward(g.value)
        to_input, to_own = absolute.backward(np.abs(g.value))
        roundings = {"weight": len(g.value) + 1, "bias": len(g.value)}
        passes = {"weight": (sqrt(overlap), _product(x, g)), "bias": (sqrt(len(g.value)), g.error)}
        errors = {name: _passed(*passes[name], roundings[name] * u * _norm(to_own[name])) for name in own}
        error = _passed(constant, g.error, (layer.out_channels * overlap + 1) * u * _norm(to_input))
        return Bounded(grad_input, error), {name: Bounded(a, errors[name]) for name, a in own.items()}

    return Bounded(y, _passed(constant, x.error, (taps + 2) * u * _norm(absolute.output))), back


@bounded_pass.register
def _(layer: BatchNorm2d, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    """Two passes: the mean, then the variance around it; each sum of n terms within n roundings.

    c / sqrt(|c|^2 / n + eps) has a derivative of norm 1 / s at most, s the root, and a second one of at most
    6 / (sqrt(n) s^2); s itself changes by at most |dc| / sqrt(n).
    """
    y, backward, _ = layer.forward(x.value, values, *how)
    over = (0, *range(2, x.value.ndim))
    n, u = x.value.size // x.value.shape[1], _u(y)

    def each(channel: Any) -> Any:
        return np.reshape(channel, (1, -1, *(1,) * (x.value.ndim - 2)))

    mean = x.value.mean(axis=over) if how.training else values["running_mean"]
    variance = x.value.var(axis=over) if how.training else values["running_var"]
    s = np.sqrt(variance + layer.eps)
    gain = np.abs(values["weight"])
    normal = (x.value - each(mean)) / each(s)
    shifted = (n + 1) * u * np.abs(x.value).mean(axis=over) if how.training else np.zeros_like(s)
    relative = ((n + 4) * u + (shifted / s) ** 2) / 2 + 4 * u if how.training else np.full_like(s, 4 * u)
    parts = (np.abs(x.value) + np.abs(each(mean))) / each(s)  # the shift may be taken off after scaling
    off = each(shifted / s) + np.abs(normal) * each(relative) + 3 * u * parts  # the error of `normal`
    rounding = _norm(each(gain) * (off + 4 * u * parts) + 4 * u * np.abs(each(values["bias"])))
    least = s - x.error / sqrt(n) if how.training else s
    slope = float(1 / least.min()) if least.min() > 0 else inf
    constant = float((gain / least).max()) if least.min() > 0 else inf
    bend = float((gain / least**2).max()) * 6 / sqrt(n) if how.training else 0.0

    def back(g: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
        grad_input, own = backward(g.value)
        size = np.abs(g.value)
        local = size * each(relative + 4 * u)
        if how.training:
            product = (size * np.abs(normal)).mean(axis=over)
            whole = size + each(size.mean(axis=over)) + np.abs(normal) * each(product)
            local = each((n + 12) * u + 2 * relative) * whole
            local += off * each(product) + np.abs(normal) * each((size * off).mean(axis=over))
        curved = bend * x.error * _norm(g.value) if x.error else 0.0
        error = _passed(constant, g.error, _norm(each(gain / s) * local) + curved)
        longest = float(np.sqrt((normal**2).sum(axis=over)).max())
        turned = slope * x.error * (_norm(g.value) + g.error) if x.error else 0.0
        sums = ((n + 2) * u * np.abs(normal) + off) * size
        errors = {
            "weight": _passed(longest, g.error, turned + _norm(sums.sum(axis=over))),
            "bias": _passed(sqrt(n), g.error, n * u * _norm(size.sum(axis=over))),
        }
        return Bounded(grad_input, error), {name: Bounded(a, errors[name]) for name, a in own.items()}

    return Bounded(y, _passed(constant, x.error, rounding)), back


@bounded_pass.register
def _(layer: MaxPool2d, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    """A maximum moves no further than its window; its place is certain where it leads by more than two errors."""
    y, backward, _ = layer.forward(x.value, values, *how)
    share = sqrt(_overlap(layer.spec.kernel_size, layer.spec.stride))

    def back(g: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
        operands = {"grad_output": g.value, "input": x.value}
        rounding = _rounding("max_pool2d_backward", operands, layer.geometry(), "auto")["grad_input"]
        certain = not x.error or _leads(x, layer.spec)
        return Bounded(backward(g.value)[0], _passed(share, g.error, rounding) if certain else inf), {}

    return Bounded(y, _passed(share, x.error, 0.0), x.zeros), back


def _leads(x: Bounded, spec: PoolSpec) -> bool:
    """Whether every window's maximum is the same one in exact arithmetic; equal zeros behind a ReLU are."""
    sizes = spec.output_size(x.value.shape[2:])
    axes = zip(x.value.shape[2:], sizes, spec.stride, spec.kernel_size, spec.padding, strict=True)
    border = [(before, max(0, (o - 1) * s + k - n - before)) for n, o, s, k, (before, _) in axes]
    padded = np.pad(x.value, [(0, 0), (0, 0), *border], constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, spec.kernel_size, axis=(2, 3))
    cells = windows[:, :, :: spec.stride[0], :: spec.stride[1]]
    cells = cells[:, :, : sizes[0], : sizes[1]].reshape(*x.value.shape[:2], *sizes, -1)
    if cells.shape[-1] == 1:
        return True
    second, first = np.moveaxis(np.partition(cells, (-2, -1), axis=-1)[..., -2:], -1, 0)
    level = (first == 0) & (second == 0) if x.zeros else np.zeros(first.shape, bool)
    with np.errstate(invalid="ignore"):
        return bool(((first - second > 2 * x.error) | level).all())


@bounded_pass.register
def _(layer: AvgPool2d, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    y, backward, _ = layer.forward(x.value, values, *how)
    spec, arguments = layer.spec, layer.geometry()
    share = sqrt(_overlap(spec.kernel_size, spec.stride) / prod(spec.kernel_size))
    rounding = _rounding("avg_pool2d", {"input": x.value}, arguments, "auto")["output"]

    def back(g: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
        operands = {"grad_output": g.value, "input": x.value}
        rounds = _rounding("avg_pool2d_backward", operands, arguments, "auto")["grad_input"]
        return Bounded(backward(g.value)[0], _passed(share, g.error, rounds)), {}

    return Bounded(y, _passed(share, x.error, rounding)), back


@bounded_pass.register
def _(layer: GlobalAvgPool, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    y, backward, _ = layer.forward(x.value, values, *how)
    size = x.value.shape[2:]
    share = 1 / sqrt(prod(size))
    rounding = _rounding("avg_pool2d", {"input": x.value}, {"kernel_size": size}, "auto")["output"]

    def back(g: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
        return Bounded(backward(g.value)[0], _passed(share, g.error, 2 * _u(y) * share * _norm(g.value))), {}

    return Bounded(y, _passed(share, x.error, rounding)), back


@bounded_pass.register
def _(layer: Flatten, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    y, backward, _ = layer.forward(x.value, values, *how)
    return Bounded(y, x.error, x.zeros), lambda g: (Bounded(backward(g.value)[0], g.error), {})


@bounded_pass.register
def _(layer: ReLU, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    """Nothing is rounded; each side is certain where the input is further from zero than its error."""
    y, backward, _ = layer.forward(x.value, values, *how)
    certain = not x.error or bool((np.abs(x.value) > x.error).all())
    return Bounded(y, x.error, certain), lambda g: (Bounded(backward(g.value)[0], g.error if certain else inf), {})


def _smooth(
    layer: Layer, x: Bounded, values: Values, how: How, slope: float, bend: float, roundings: float
) -> tuple[Bounded, Back]:
    """A function with derivative at most `slope` and second derivative at most `bend`; `roundings` u of 1 each."""
    y, backward, _ = layer.forward(x.value, values, *how)
    u = _u(y)

    def back(g: Bounded) -> tuple[Bounded, dict[str, Bounded]]:
        curved = bend * x.error * _norm(g.value) if x.error else 0.0
        return Bounded(backward(g.value)[0], _passed(slope, g.error, curved + 3 * roundings * u * _norm(g.value))), {}

    return Bounded(y, _passed(slope, x.error, roundings * u * _norm(y))), back


@bounded_pass.register
def _(layer: Sigmoid, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    """|f'| <= 1/4, |f''| <= 1 / (6 sqrt 3)."""
    return _smooth(layer, x, values, how, 1 / 4, 1 / (6 * sqrt(3)), ELEMENTARY + 3)


@bounded_pass.register
def _(layer: Tanh, x: Bounded, values: Values, how: How) -> tuple[Bounded, Back]:
    """|f'| <= 1, |f''| <= 4 / (3 sqrt 3)."""
    return _smooth(layer, x, values, how, 1.0, 4 / (3 * sqrt(3)), ELEMENTARY + 1)
