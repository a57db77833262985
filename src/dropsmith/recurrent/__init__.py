"""Recurrent layers of torch's, with noise on their state: variational dropout at native speed."""

from dropsmith.recurrent.convert import convert, revert
from dropsmith.recurrent.layers import GRU, LSTM, RNN

__all__ = ["GRU", "LSTM", "RNN", "convert", "revert"]
