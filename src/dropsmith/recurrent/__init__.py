"""Recurrent layers like torch's, with noise on their state, such as variational dropout."""

from dropsmith.kernels import lstm
from dropsmith.recurrent.as_loops import AsLoops
from dropsmith.recurrent.convert import convert, revert
from dropsmith.recurrent.from_keras import KerasLayer, from_keras
from dropsmith.recurrent.layers import GRU, LSTM, RNN

Graphs = lstm.Graphs
Tiles = lstm.Tiles
Triton = lstm.Triton

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "AsLoops",
    "Graphs",
    "KerasLayer",
    "Tiles",
    "Triton",
    "convert",
    "from_keras",
    "revert",
]
