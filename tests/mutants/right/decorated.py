"""Is decorated, under the name and signature of what it wraps."""

import sys
from functools import wraps
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base


def counted(function):
    @wraps(function)
    def wrapper(*args, **kwargs):
        wrapper.calls += 1
        return function(*args, **kwargs)

    wrapper.calls = 0
    return wrapper


@counted
def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)


@counted
def max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
    return _base.max_pool(input, kernel_size, stride, padding, dilation, ceil_mode)
