"""Recurrent layers of torch's, with noise on their state: variational dropout at native speed."""

from dropsmith.kernels.lstm import Graphs, Tiles, Triton
from dropsmith.recurrent.convert import convert, revert
from dropsmith.recurrent.layers import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "Graphs", "Tiles", "Triton", "convert", "revert"]
