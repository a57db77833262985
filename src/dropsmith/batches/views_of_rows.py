"""Rows of several views in one batch: stacked, and cut again."""

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch.utils import _pytree as pytree

from dropsmith.batches.batch import map_rows

Given = TypeVar("Given")


def stacked(given: Given, sizes: Sequence[int]) -> Given:
    """The leading rows of everything given, as many as each view has, one view after the other."""
    return map_rows(lambda x: torch.cat([x[:k] for k in sizes]), given)


def leading(given: Given, rows: int) -> Given:
    """The leading rows of everything given."""
    return map_rows(lambda x: x[:rows], given)


def cut_caches(output: Any, rows: int) -> None:
    """Leave a cache of keys and values the rows of one view.

    Those of Hugging Face models are objects, one for the whole stack.
    """
    for leaf in pytree.tree_leaves(output):
        if hasattr(leaf, "batch_select_indices"):
            leaf.batch_select_indices(torch.arange(rows))
