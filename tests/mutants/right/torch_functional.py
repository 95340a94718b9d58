"""Calls PyTorch on the operands' memory."""

import numpy as np
import torch
import torch.nn.functional as functional


def tensor(array):
    if array is not None and array.dtype.itemsize < 4:
        raise NotImplementedError("float32 and float64 only")
    return None if array is None else torch.from_numpy(np.array(array))


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    with torch.backends.nnpack.flags(enabled=False):
        return functional.conv2d(tensor(input), tensor(weight), tensor(bias), stride, padding, dilation, groups).numpy()


def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    return functional.max_pool2d(tensor(input), kernel_size, stride, padding, dilation, ceil_mode).numpy()
