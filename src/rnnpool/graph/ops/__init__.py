"""The operators, a file a family; importing this registers their rules with the lowering."""

from rnnpool.graph.ops.activation import Activation
from rnnpool.graph.ops.affine import Affine, BatchNorm
from rnnpool.graph.ops.arithmetic import Add, Mul
from rnnpool.graph.ops.concat import Concat
from rnnpool.graph.ops.conv import Conv
from rnnpool.graph.ops.identity import Image
from rnnpool.graph.ops.l2norm import L2Norm
from rnnpool.graph.ops.linear import Linear
from rnnpool.graph.ops.pad import Pad
from rnnpool.graph.ops.pooling import AdaptivePool, Pool
from rnnpool.graph.ops.reduce import ChannelMax, GlobalPool
from rnnpool.graph.ops.renet import ReNet
from rnnpool.graph.ops.reshape import Permute, Reshape
from rnnpool.graph.ops.resize import Nearest
from rnnpool.graph.ops.rnnpool import RNNPool
from rnnpool.graph.ops.slice import Slice
from rnnpool.graph.ops.softmax import Softmax

__all__ = [
    "Activation",
    "AdaptivePool",
    "Add",
    "Affine",
    "BatchNorm",
    "ChannelMax",
    "Concat",
    "Conv",
    "GlobalPool",
    "Image",
    "L2Norm",
    "Linear",
    "Mul",
    "Nearest",
    "Pad",
    "Permute",
    "Pool",
    "RNNPool",
    "ReNet",
    "Reshape",
    "Slice",
    "Softmax",
]
