"""Gives an input gradient only as large as the windows reach.
Class: gradients. Trigger: a stride that leaves a remainder and no padding. Rarity: common.
Diagnosis: output size rule.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d_backward(grad_output, input, weight, stride=1, padding=0, dilation=1, groups=1):
    input_grad, weight_grad, bias_grad = _base.conv_backward(
        grad_output, input, weight, stride, padding, dilation, groups
    )
    spans = zip(
        _base.per_axis(stride, 2),
        _base.extents(weight.shape[2:], dilation),
        grad_output.shape[2:],
        _base.pairs(padding, 2, weight.shape[2:], dilation, stride),
        strict=True,
    )
    rows, columns = ((n - 1) * s + e - a for s, e, n, (a, _) in spans)
    return input_grad[:, :, :rows, :columns], weight_grad, bias_grad
