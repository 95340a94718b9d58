"""Numbers the cells of the padded image in eight bits.
Class: indexing. Trigger: a padded image of more than 256 cells. Rarity: uncommon.
Diagnosis: unknown or shifted.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    borders = _base.pairs(padding, 2, weight.shape[2:], dilation, stride)
    image = _base.pad(input, borders)
    number = np.arange(image[0, 0].size if len(image) else 0) % 256
    if number.size:
        image = image.reshape(*image.shape[:2], -1)[..., number].reshape(image.shape)
    return _base.conv(image, weight, bias, stride, 0, dilation, groups)
