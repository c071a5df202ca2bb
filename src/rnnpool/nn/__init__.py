"""Layers: RNNPool2d and what it is made of."""

from rnnpool.nn.cells import FastGRNNCell, GRUCell, LSTMCell
from rnnpool.nn.edgeml import load_edgeml_state_dict
from rnnpool.nn.rnnpool2d import RNNPool2d
from rnnpool.nn.sweep import sweep

__all__ = ["FastGRNNCell", "GRUCell", "LSTMCell", "RNNPool2d", "load_edgeml_state_dict", "sweep"]
