"""Terms from hidden states and a head, where a model's scores were put off and nobody looked.

Task losses and the distance between views then come out of one kernel, which holds the scores of a
few items at a time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import comb

import torch
from torch import Tensor

from dropsmith.errors import ObjectiveError
from dropsmith.kernels import fused_linear_consistency, lazy_logits
from dropsmith.objectives.distances import (
    Distance,
    jensen_shannon,
    squared_distance,
    symmetric_kl,
)
from dropsmith.passes import Views
from dropsmith.terms import Loss, Mean

HEAD_DISTANCES: dict[Distance, fused_linear_consistency.Distance] = {
    symmetric_kl: "symmetric_kl",
    jensen_shannon: "jensen_shannon",
    squared_distance: "squared",
}
"""The distances that the kernel has."""


@dataclass(frozen=True, kw_only=True)
class HeadRequest:
    """A request to the kernel.

    Args:
        distance: its name for the distance.
        weight: what the mean distance is multiplied with beside the mean task loss.
        task_loss_views: the views that carry the task loss, or None for all.
    """

    distance: fused_linear_consistency.Distance
    weight: float
    task_loss_views: tuple[int, ...] | None


class CrossEntropySum(lazy_logits.LazyTensor):
    """A sum of cross-entropy over items whose scores are put off, put off itself."""

    scores: lazy_logits.LazyLogits
    labels: Tensor
    smoothing: float
    ignore_index: int

    def alike(self, other: "CrossEntropySum") -> bool:
        """Say whether another counts the same items with the same target."""
        settings = self.smoothing == other.smoothing and self.ignore_index == other.ignore_index
        return settings and (self.labels is other.labels or torch.equal(self.labels, other.labels))


def put_off(
    loss: Callable[..., Loss],
    scores: lazy_logits.LazyLogits,
    labels: Tensor,
    smoothing: float,
    ignore_index: int,
) -> Loss:
    """The loss of scores that are put off, with a sum that is put off like them."""

    def make() -> Tensor:
        if scores.is_pending and not smoothing:
            direct = scores.cross_entropy(labels, ignore_index)
            if direct is not None:
                return direct
        return loss(scores.materialise(), labels, smoothing, ignore_index).mean.sum

    dtype = torch.promote_types(scores.dtype, torch.float32)
    loss_sum = CrossEntropySum(make, (), dtype, scores.device, scores.needs_gradient)
    loss_sum.scores, loss_sum.labels = scores, labels
    loss_sum.smoothing, loss_sum.ignore_index = smoothing, ignore_index
    mask = labels != ignore_index
    return Loss(Mean(loss_sum, mask.sum()), mask)


def from_head(
    views: Views, losses: Sequence[Loss], request: HeadRequest | None
) -> list[Mean] | None:
    """The mean task loss and, of several views, their mean distance.

    None where that cannot be made without the scores: they are there already, some loss is no
    plain cross-entropy of them, views differ in more than their noise, or the distance is another.

    Raises:
        ObjectiveError: the views are infinitely far apart.
    """
    sums = [loss.mean.sum for loss in losses]
    if request is None or not all(isinstance(loss_sum, CrossEntropySum) for loss_sum in sums):
        return None
    scores = views.logits
    if not _fits(views, scores, sums, request):  # pyright: ignore[reportArgumentType]
        return None
    return _means(scores, sums[0], request)  # pyright: ignore[reportArgumentType]


def _fits(
    views: Views,
    scores: Sequence[lazy_logits.LazyLogits],
    sums: Sequence[CrossEntropySum],
    request: HeadRequest,
) -> bool:
    task_loss_views = [
        view for view in request.task_loss_views or range(len(views)) if view < len(views)
    ]
    if not all(isinstance(x, lazy_logits.LazyLogits) and x.is_pending for x in scores):
        return False
    pairs = zip(task_loss_views, sums, strict=True)
    same_scores = all(loss_sum.scores is scores[view] for view, loss_sum in pairs)
    same_head = all(logits.alike(scores[0]) for logits in scores)
    same_batch = all(batch is views.batches[0] for batch in views.batches)
    same_target = all(x.is_pending and sums[0].alike(x) for x in sums)
    return same_scores and same_head and same_batch and same_target


def _means(
    scores: Sequence[lazy_logits.LazyLogits], task: CrossEntropySum, request: HeadRequest
) -> list[Mean]:
    count = len(scores)
    labels = task.labels.flatten().long()
    items = max(1, int((labels != task.ignore_index).sum()))
    task_loss_views = request.task_loss_views or tuple(range(count))
    task_loss_views = tuple(view for view in task_loss_views if view < count)
    item_weight = 1 / (items * len(task_loss_views))
    mix = fused_linear_consistency.Mix(
        tuple(item_weight if view in task_loss_views else 0.0 for view in range(count)),
        request.weight / items if count > 1 else 0.0,
    )
    settings = fused_linear_consistency.HeadSettings(
        distance=request.distance, smoothing=task.smoothing, ignore_index=task.ignore_index
    )
    return _as_means(_sums(scores, labels, settings, mix), task_loss_views)


def _sums(
    scores: Sequence[lazy_logits.LazyLogits],
    labels: Tensor,
    settings: fused_linear_consistency.HeadSettings,
    mix: fused_linear_consistency.Mix,
) -> fused_linear_consistency.HeadSums:
    first = scores[0]
    if isinstance(first, lazy_logits.BandScores):
        bands = zip(
            *(view.states for view in scores if isinstance(view, lazy_logits.BandScores)),
            strict=True,
        )
        states = [torch.stack([view.flatten(0, -2) for view in band]) for band in bands]
        return first.bands.consistency(states, labels, settings)
    assert isinstance(first, lazy_logits.HeadScores)
    hidden = torch.stack([view.parts[0].flatten(0, -2) for view in scores])
    weight, bias = first.head.cast()
    return fused_linear_consistency.fused_linear_consistency(
        hidden, weight, bias, labels, settings, mix
    )


def _as_means(
    sums: fused_linear_consistency.HeadSums, task_loss_views: tuple[int, ...]
) -> list[Mean]:
    task_sum, pairs = sum(sums.task[view] for view in task_loss_views), comb(len(sums.task), 2)
    means = [Mean(torch.as_tensor(task_sum), sums.item_count * len(task_loss_views))]
    if pairs:
        if bool(sums.consistency.detach().isinf()):
            raise ObjectiveError(
                "the distance of two views is infinite: a score is infinite in one of them only\n"
                "  look for infinite values in the input of the head"
            )
        means.append(Mean(sums.consistency * pairs, sums.item_count * pairs))
    return means
