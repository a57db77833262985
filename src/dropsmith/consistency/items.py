"""Losses that add up over the micro-batches of an optimiser step."""

import torch
from torch import Tensor

from dropsmith.terms import Mean, Terms


def scale_to_accumulated_batch(
    terms: Terms, items: Tensor | int | None, count: Tensor | float
) -> Terms:
    """The terms, averaged over all items of an optimiser step and not over these alone.

    The parts of all its micro-batches then add up to the mean over all of them. So do terms over
    something else than items, such as states of layers, if each item has as many of it; else each
    micro-batch's mean weighs as its share of the items.

    Args:
        terms: sums and counts of this micro-batch.
        items: how many items the optimiser step has; None where these are all.
        count: how many of them view 0 counted.
    """
    if items is None:
        return terms
    parts = items / torch.as_tensor(count, dtype=torch.float32).clamp(min=1)
    return {name: Mean(term.sum, term.count * parts) for name, term in terms.items()}
