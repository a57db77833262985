"""Activations: hidden states and attention, read while a model runs."""

from dropsmith.activations.block_outputs import Layer, Reads
from dropsmith.activations.block_reader import Reader, never
from dropsmith.activations.read_blocks import Reading, reading
from dropsmith.activations.read_taps import Taps, taps

__all__ = [
    "Layer",
    "Reader",
    "Reading",
    "Reads",
    "Taps",
    "never",
    "reading",
    "taps",
]
