"""Writes a log, and a line to the standard error output."""

import logging
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

LOG = logging.getLogger("mutant")
LOG.addHandler(logging.NullHandler())


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    LOG.info("conv2d of %s and %s", input.shape, weight.shape)
    print("conv2d", file=sys.stderr)
    return _base.conv(input, weight, bias, stride, padding, dilation, groups)
