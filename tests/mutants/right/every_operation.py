"""Every operation, computed plainly."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import _base

conv1d = conv2d = conv3d = _base.conv
conv_transpose1d = conv_transpose2d = conv_transpose3d = _base.conv_transpose
conv1d_backward = conv2d_backward = conv3d_backward = _base.conv_backward
max_pool1d = max_pool2d = max_pool3d = _base.max_pool
avg_pool1d = avg_pool2d = avg_pool3d = _base.avg_pool
max_pool1d_backward = max_pool2d_backward = max_pool3d_backward = _base.max_pool_backward
avg_pool1d_backward = avg_pool2d_backward = avg_pool3d_backward = _base.avg_pool_backward
convolve = _base.convolve
correlate = _base.correlate
