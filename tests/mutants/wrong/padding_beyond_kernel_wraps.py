"""Takes only the cells less than a kernel away for padding; those farther left wrap around to the end of the input.
Class: geometry. Trigger: padding of at least the dilated kernel. Rarity: rare.
Diagnosis: border or halo.
"""

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    ((before, after),) = _base.pairs(padding, 1, weight.shape[2:], dilation, stride)
    (extent,), size = _base.extents(weight.shape[2:], dilation), input.shape[2]
    index = np.arange(-before, size + after)
    image = input[..., index % size]
    image[..., ((index < 0) & (index > -extent)) | (index >= size)] = 0
    return _base.conv(image, weight, bias, stride, 0, dilation, groups)
