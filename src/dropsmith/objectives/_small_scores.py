"""Both terms of two views at once, where a loss says that it is plain cross-entropy of scores."""

from dataclasses import dataclass
from math import isfinite
from typing import Any, Protocol

import torch
from torch import Tensor

from dropsmith.kernels import two_view_scores
from dropsmith.objectives.distances import Distance, symmetric_kl
from dropsmith.passes import Views
from dropsmith.terms import Mean
from dropsmith.transforms import transforms_active


@dataclass(frozen=True)
class CrossEntropyInputs:
    """The scores and labels of which a loss is the plain cross-entropy.

    Args:
        scores: `[items, classes]`.
        labels: the class of each item, `[items]`.
    """

    scores: Tensor
    labels: Tensor


class PlainCrossEntropy(Protocol):
    """A loss function that may be plain cross-entropy, and says so."""

    def cross_entropy_inputs(self, output: Any, batch: Any) -> CrossEntropyInputs | None:
        """The inputs, where the loss of one view is their plain cross-entropy; else None."""

    def count_items(self, count: float) -> None:
        """The terms were made from the inputs of `count` items, without a call of the loss."""


def small_terms(views: Views, loss: Any, distance: Distance) -> list[Mean] | None:
    """The mean task loss and the mean distance; None where they have to be made one by one."""
    plain: PlainCrossEntropy | None = loss if hasattr(loss, "cross_entropy_inputs") else None
    if len(views.outputs) != 2 or distance is not symmetric_kl or plain is None:
        return None
    if torch.compiler.is_compiling() or transforms_active() or views.shared_rows != views.rows:
        return None
    pairs = zip(views.outputs, views.batches, strict=True)
    inputs = [plain.cross_entropy_inputs(output, batch) for output, batch in pairs]
    first, second = inputs
    if first is None or second is None:
        return None
    if not two_view_scores.takes(first.scores) or not two_view_scores.takes(second.scores):
        return None
    if first.labels is not second.labels or first.scores.shape != second.scores.shape:
        return None
    if first.labels.min().item() < 0:  # some items are ignored
        return None
    scores = _stacked(first.scores, second.scores)
    task, divergence = two_view_scores.two_view_sums(scores, first.labels)
    if not isfinite(divergence.item()):  # a class at −inf, for which there are other words
        return None
    count = float(len(first.labels))
    plain.count_items(count)
    return [Mean(task, 2 * count), Mean(divergence, count)]


def _stacked(first: Tensor, second: Tensor) -> Tensor:
    """Both views' scores, `[2, items, classes]`; those that a stacked pass returned as they are."""
    base = first._base
    if base is not None and base is second._base and base.is_contiguous():
        halves = base.shape == (2 * len(first), *first.shape[1:])
        if halves and first.storage_offset() == base.storage_offset() < second.storage_offset():
            return base.view(2, *first.shape)
    return torch.stack((first, second))
