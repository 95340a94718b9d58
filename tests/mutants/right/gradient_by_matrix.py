"""Multiplies by matrices that say which output reads which cell."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    checked = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    dtype, inner = _base.wide(input.dtype), weight.shape[1]
    ((before, after),) = _base.pairs(padding, 1, weight.shape[2:], dilation, stride)
    (step,), (gap,) = _base.per_axis(stride, 1), _base.per_axis(dilation, 1)
    image = _base.pad(input.astype(dtype), ((before, after),))
    grad, canvas, weight_grad = grad_output.astype(dtype), np.zeros_like(image), np.zeros(weight.shape, dtype)
    rows = np.arange(grad.shape[2])
    with np.errstate(all="ignore"):
        for group, tap in np.ndindex(groups, weight.shape[2]):
            place = np.zeros((grad.shape[2], image.shape[2]), dtype)
            place[rows, rows * step + tap * gap] = 1
            inputs = slice(group * inner, (group + 1) * inner)
            outputs = slice(group * len(weight) // groups, (group + 1) * len(weight) // groups)
            read = image[:, inputs, rows * step + tap * gap]
            canvas[:, inputs] += np.einsum("nop,oc,px->ncx", grad[:, outputs], weight[outputs, :, tap], place)
            weight_grad[outputs, :, tap] = np.einsum("nop,ncp->oc", grad[:, outputs], read)
    cut = canvas[..., before : before + input.shape[2]]
    return cut.astype(input.dtype), weight_grad.astype(input.dtype), checked[2]
