"""Gathers for each output of a transposed convolution what reaches it."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv_transpose1d(input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1):
    size = _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation).shape[2]
    (step,), (gap,), ((before, _),) = _base.per_axis(stride, 1), _base.per_axis(dilation, 1), _base.pairs(padding, 1)
    dtype, inner = _base.wide(input.dtype), len(weight) // groups
    out = np.zeros((len(input), weight.shape[1] * groups, size), dtype)
    with np.errstate(all="ignore"):
        for place, group in np.ndindex(size, groups):
            channels = slice(group * inner, (group + 1) * inner)
            for tap in range(weight.shape[2]):
                source, rest = divmod(place + before - tap * gap, step)
                if rest == 0 and 0 <= source < input.shape[2]:
                    part = input[:, channels, source].astype(dtype) @ weight[channels, :, tap].astype(dtype)
                    out[:, group * weight.shape[1] : (group + 1) * weight.shape[1], place] += part
        return _base.finish(out, bias, input.dtype)
