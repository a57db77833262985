"""Rows of several views in one batch: stacked, labelled for the model's own loss, cut again."""

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch.utils import _pytree as pytree

from dropsmith.sites.batch import map_rows

LABELS = ("labels", "start_positions", "end_positions")
Given = TypeVar("Given")


def stacked(given: Given, sizes: Sequence[int]) -> Given:
    """The leading rows of everything given, as many as each view has, one view after the other."""
    return map_rows(lambda x: torch.cat([x[:k] for k in sizes]), given)


def leading(given: Given, rows: int) -> Given:
    """The leading rows of everything given."""
    return map_rows(lambda x: x[:rows], given)


def labels_of_all_views(given: Mapping[str, Any], n: int) -> dict[str, Any]:
    """What forward is given by name: a trunk has one view, the loss at its end sees all."""
    labels = {k: v for k, v in given.items() if k in LABELS and v is not None}
    return {**given, **{k: torch.cat([v] * n) for k, v in labels.items()}}


def cut_caches(output: Any, rows: int) -> None:
    """Leave a cache of keys and values the rows of one view.

    Those of Hugging Face models are objects, one for the whole stack.
    """
    for leaf in pytree.tree_leaves(output):
        if hasattr(leaf, "batch_select_indices"):
            leaf.batch_select_indices(torch.arange(rows))
