"""Computes the input gradient by the transposed convolution."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    _, weight_grad, bias_grad = _base.conv_backward(grad_output, input, weight, stride, padding, dilation, groups)
    kernel = weight.shape[2:]
    borders = _base.pairs(padding, 2, kernel, dilation, stride)
    canvas = _base.conv_transpose(grad_output, weight, None, stride, 0, 0, groups, dilation)
    room = tuple(
        (0, max(0, n + a - m)) for n, (a, _), m in zip(input.shape[2:], borders, canvas.shape[2:], strict=True)
    )
    return _base.crop(_base.pad(canvas, room), borders, input.shape[2:]), weight_grad, bias_grad
