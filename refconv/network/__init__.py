"""From a layer to a network: layers forward and backward by hand, the documents' networks as tables, learning.

Read in this order: `layers` (what a layer is), `tables` (NETWORKS), `learning` (loss and descent), `error` (how far a
computed network may be from the exact one), `train` (a network learns digits).
"""

from refconv.network.layers import AvgPool2d as AvgPool2d
from refconv.network.layers import BatchNorm2d as BatchNorm2d
from refconv.network.layers import Concat as Concat
from refconv.network.layers import Conv2d as Conv2d
from refconv.network.layers import Dense as Dense
from refconv.network.layers import Flatten as Flatten
from refconv.network.layers import GlobalAvgPool as GlobalAvgPool
from refconv.network.layers import Layer as Layer
from refconv.network.layers import LocallyConnected2d as LocallyConnected2d
from refconv.network.layers import MaxPool2d as MaxPool2d
from refconv.network.layers import Pass as Pass
from refconv.network.layers import ReLU as ReLU
from refconv.network.layers import Sequential as Sequential
from refconv.network.layers import Sigmoid as Sigmoid
from refconv.network.layers import Sum as Sum
from refconv.network.layers import Tanh as Tanh
from refconv.network.learning import SGD as SGD
from refconv.network.learning import gradients as gradients
from refconv.network.learning import softmax_cross_entropy as softmax_cross_entropy
from refconv.network.tables import NETWORKS as NETWORKS
from refconv.network.tables import Network as Network
