"""Batches: the tensors that have rows, and mapping, stacking and cutting of rows."""

from dropsmith.batches.arguments import Arguments, argument_names, arguments, call
from dropsmith.batches.compare_rows import alike_within, close
from dropsmith.batches.copies import copy_tensors
from dropsmith.batches.find_layout import Trial, find_layout
from dropsmith.batches.layout import Layout, Name, OutputAxes
from dropsmith.batches.leaf_rows import Axis
from dropsmith.batches.packed import is_packed, packed_rows, with_rows
from dropsmith.batches.structure import (
    leading_tensor,
    leaves_of,
    map_leaves,
    tensors_in,
    with_leading_tensor,
)

__all__ = [
    "Arguments",
    "Axis",
    "Layout",
    "Name",
    "OutputAxes",
    "Trial",
    "alike_within",
    "argument_names",
    "arguments",
    "call",
    "close",
    "copy_tensors",
    "find_layout",
    "is_packed",
    "leading_tensor",
    "leaves_of",
    "map_leaves",
    "packed_rows",
    "tensors_in",
    "with_leading_tensor",
    "with_rows",
]
