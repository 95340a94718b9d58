"""Translates its arguments to the attributes of a graph node and back."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def node(input, weight, bias, attributes):
    begins, ends = attributes["pads"][:2], attributes["pads"][2:]
    image = _base.pad(input, tuple(zip(begins, ends, strict=True)))
    return _base.conv(image, weight, bias, attributes["strides"], 0, attributes["dilations"], attributes["group"])


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    (top, bottom), (left, right) = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    attributes = {
        "strides": _base.per_axis(stride, 2),
        "dilations": _base.per_axis(dilation, 2),
        "pads": (top, left, bottom, right),
        "group": groups,
    }
    return node(input, weight, bias, attributes)
