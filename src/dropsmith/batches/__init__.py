"""Batches: which of their tensors have rows, and how rows are mapped, stacked and cut."""

from dropsmith.batches.arguments import call
from dropsmith.batches.batch import map_rows, one_more_column, one_more_row, rows_of, tensors_in
from dropsmith.batches.cutting import cut
from dropsmith.batches.leading import leading_tensor, with_leading_tensor
from dropsmith.batches.packed import has_packed, is_packed, packed_rows, with_rows
from dropsmith.batches.views_of_rows import cut_caches, leading, stacked

__all__ = [
    "call",
    "cut",
    "cut_caches",
    "has_packed",
    "is_packed",
    "leading",
    "leading_tensor",
    "map_rows",
    "one_more_column",
    "one_more_row",
    "packed_rows",
    "rows_of",
    "stacked",
    "tensors_in",
    "with_leading_tensor",
    "with_rows",
]
