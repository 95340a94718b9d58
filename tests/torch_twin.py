"""The same tables of layers run by PyTorch: its functions forward, its automatic differentiation back."""

from functools import singledispatch

import torch
import torch.nn.functional as F

from refconv import network
from refconv.network.layers import inside


def gradients(layer, x, labels, values, training=True):
    """Loss, logits and the gradients of input and parameters; as arrays, the parameters by name."""
    tensors, learnt, x = _tensors(layer, x, values)
    logits = run(layer, x, tensors, training)
    loss = F.cross_entropy(logits, torch.as_tensor(labels))
    return loss.item(), logits.detach().numpy(), *_differentiated(loss, x, learnt)


def pulled_back(layer, x, values, grad_output, training=False):
    """Output, and the gradients of input and parameters for a gradient of the output."""
    tensors, learnt, x = _tensors(layer, x, values)
    y = run(layer, x, tensors, training)
    return y.detach().numpy(), *_differentiated((y * torch.tensor(grad_output)).sum(), x, learnt)


def _tensors(layer, x, values):
    x = torch.tensor(x, requires_grad=True)
    learnt = {name: torch.tensor(values[name], requires_grad=True) for name in layer.parameters(tuple(x.shape[1:]))}
    return {**{name: torch.tensor(a) for name, a in values.items()}, **learnt}, learnt, x


def _differentiated(total, x, learnt):
    total.backward()
    return x.grad.numpy(), {name: tensor.grad.numpy() for name, tensor in learnt.items()}


@singledispatch
def run(layer, x, values, training):
    """The output of a layer."""
    raise NotImplementedError(type(layer).__name__)


@run.register
def _(layer: network.Sequential, x, values, training):
    for position, one in enumerate(layer.layers):
        x = run(one, x, inside(values, position), training)
    return x


@run.register
def _(layer: network.Sum, x, values, training):
    return sum(run(one, x, inside(values, i), training) for i, one in enumerate(layer.layers))


@run.register
def _(layer: network.Concat, x, values, training):
    return torch.cat([run(one, x, inside(values, i), training) for i, one in enumerate(layer.layers)], dim=1)


@run.register
def _(layer: network.Conv2d, x, values, training):
    return F.conv2d(x, values["weight"], values.get("bias"), **layer.geometry())


@run.register
def _(layer: network.LocallyConnected2d, x, values, training):
    columns = F.unfold(x, layer.kernel_size, padding=layer.padding, stride=layer.stride)
    outputs, *size, taps = values["weight"].shape
    y = torch.einsum("opt,ntp->nop", values["weight"].reshape(outputs, -1, taps), columns)
    return y.reshape(len(x), outputs, *size) + values["bias"]


@run.register
def _(layer: network.Dense, x, values, training):
    return F.linear(x, values["weight"], values["bias"])


@run.register
def _(layer: network.BatchNorm2d, x, values, training):
    running = None if training else values["running_mean"], None if training else values["running_var"]
    return F.batch_norm(x, *running, values["weight"], values["bias"], training, eps=layer.eps)


@run.register
def _(layer: network.MaxPool2d, x, values, training):
    return F.max_pool2d(x, **layer.geometry())


@run.register
def _(layer: network.AvgPool2d, x, values, training):
    return F.avg_pool2d(x, **layer.geometry())


@run.register
def _(layer: network.GlobalAvgPool, x, values, training):
    return F.adaptive_avg_pool2d(x, 1).flatten(1)


@run.register
def _(layer: network.Flatten, x, values, training):
    return x.flatten(1)


@run.register
def _(layer: network.ReLU, x, values, training):
    return F.relu(x)


@run.register
def _(layer: network.Sigmoid, x, values, training):
    return torch.sigmoid(x)


@run.register
def _(layer: network.Tanh, x, values, training):
    return torch.tanh(x)
