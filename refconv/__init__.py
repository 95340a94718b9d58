"""The referee for convolution: the public API on one page.

Reference implementations, named and called as in `torch.nn.functional`, with one keyword more, `method`:
"""

from refconv.convolution import conv1d as conv1d
from refconv.convolution import conv1d_backward as conv1d_backward
from refconv.convolution import conv2d as conv2d
from refconv.convolution import conv2d_backward as conv2d_backward
from refconv.convolution import conv3d as conv3d
from refconv.convolution import conv3d_backward as conv3d_backward
from refconv.convolution import conv_transpose1d as conv_transpose1d
from refconv.convolution import conv_transpose2d as conv_transpose2d
from refconv.convolution import conv_transpose3d as conv_transpose3d
from refconv.pooling import avg_pool1d as avg_pool1d
from refconv.pooling import avg_pool1d_backward as avg_pool1d_backward
from refconv.pooling import avg_pool2d as avg_pool2d
from refconv.pooling import avg_pool2d_backward as avg_pool2d_backward
from refconv.pooling import avg_pool3d as avg_pool3d
from refconv.pooling import avg_pool3d_backward as avg_pool3d_backward
from refconv.pooling import global_avg_pool as global_avg_pool
from refconv.pooling import max_pool1d as max_pool1d
from refconv.pooling import max_pool1d_backward as max_pool1d_backward
from refconv.pooling import max_pool2d as max_pool2d
from refconv.pooling import max_pool2d_backward as max_pool2d_backward
from refconv.pooling import max_pool3d as max_pool3d
from refconv.pooling import max_pool3d_backward as max_pool3d_backward
from refconv.pooling import upsample as upsample
from refconv.receptive import Layer as Layer
from refconv.receptive import receptive_field as receptive_field
from refconv.signal import convolve as convolve
from refconv.signal import correlate as correlate

__version__ = "0.1.0"
