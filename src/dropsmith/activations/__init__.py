"""Activations: hidden states and attention, read while a model runs."""

from dropsmith.activations.block_outputs import Layer, Reads
from dropsmith.activations.block_reader import Reader, never
from dropsmith.activations.block_readings import BlockReadings, read_blocks
from dropsmith.activations.read_taps import Taps, taps

__all__ = [
    "BlockReadings",
    "Layer",
    "Reader",
    "Reads",
    "Taps",
    "never",
    "read_blocks",
    "taps",
]
