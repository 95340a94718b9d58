"""Writes its defaults as pairs and its types as annotations."""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

Sizes = int | tuple[int, int]


def conv2d(
    input: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: Sizes = (1, 1),
    padding: Sizes | str = (0, 0),
    dilation: Sizes = (1, 1),
    groups: int = 1,
) -> np.ndarray:
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)


def conv_transpose2d(
    input: np.ndarray,
    weight: np.ndarray,
    bias: np.ndarray | None = None,
    stride: Sizes = (1, 1),
    padding: Sizes = (0, 0),
    output_padding: Sizes = (0, 0),
    groups: int = 1,
    dilation: Sizes = (1, 1),
) -> np.ndarray:
    return _base.conv_transpose(input, weight, bias, stride, padding, output_padding, groups, dilation)
