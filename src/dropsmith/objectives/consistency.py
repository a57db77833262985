"""The distance between the views of one batch, as a sum and a count over items."""

from collections.abc import Iterable, Sequence
from itertools import combinations
from math import isinf

import torch
from torch import Tensor

from dropsmith.errors import ObjectiveError
from dropsmith.objectives.distances import Distance, squared_distance, squared_error
from dropsmith.passes import Views
from dropsmith.terms import Mean, total


def consistency(
    views: Views,
    distance: Distance,
    *,
    masks: Iterable[Tensor | None] = (),
    stop_gradient: int | None = None,
) -> Mean:
    """A distance between views, summed over all pairs of views and all items that count.

    Only the leading rows that all views have are compared. Scores of items outside a mask are
    set aside before they are used, so not-a-number in padding reaches neither value nor gradient.

    >>> from dropsmith.objectives.distances import squared_distance
    >>> first, second = torch.zeros(2, 3), torch.ones(2, 3)
    >>> both = Views(outputs=(first, second), batches=(None, None), shared_rows=2)
    >>> consistency(both, squared_distance)
    Mean(sum=tensor(2.), count=2.0)

    Args:
        views: at least two.
        distance: one number per item, from the scores of two views.
        masks: `Loss.mask` of the views that carry a task loss; an item counts where all do.
        stop_gradient: the view that is a constant in this term, or None.

    Raises:
        ObjectiveError: the views or masks do not fit each other; or the distance is infinite,
            because a class is at −inf in one view only. Finding that out waits for the device;
            compiled code does not look, and returns +inf.
    """
    rows = _shared_rows(views)
    scores = [score[rows] for score in views.logits]
    mask = _combine_masks([mask[rows] for mask in masks if mask is not None], scores[0])
    if mask is not None:
        scores = [torch.where(mask, score, 0) for score in scores]
    if distance is squared_distance and mask is not None and mask.shape[-1] > 1:
        distance = squared_error  # the loss counts each score by itself
    if stop_gradient is not None:
        scores[stop_gradient] = scores[stop_gradient].detach()
    pairs = combinations(range(len(scores)), 2)
    result = total(_mean(distance(scores[i], scores[j]), mask) for i, j in pairs)
    _report_infinite(result, scores)
    return result


def _shared_rows(views: Views) -> slice:
    if len(views) < 2:
        raise ObjectiveError(
            "consistency needs at least 2 views, there is 1\n  make them with views(model, batch)"
        )
    # Nothing is cut from whole batches, so their outputs may have any layout, flattened tokens too.
    if views.shared_rows is None or views.shared_rows == views.rows:
        return slice(None)
    for view, scores in enumerate(views.logits):
        rows = views.rows if view == 0 else views.shared_rows
        if scores.shape[0] < views.shared_rows or (views.rows and scores.shape[0] != rows):
            raise ObjectiveError(
                f"cannot find the {views.shared_rows} rows that the views share in logits of "
                f"shape {tuple(scores.shape)}, from a batch of {rows} rows\n"
                "  return logits whose first dimension is the batch, or use batch_fraction=1.0"
            )
    return slice(views.shared_rows)


def _combine_masks(masks: Sequence[Tensor], scores: Tensor) -> Tensor | None:
    """True where an item counts in all masks, with as many dimensions as the scores."""
    result = None
    for mask in masks:
        if mask.dim() == scores.dim() - 1:
            mask = mask.unsqueeze(-1)
        fits = mask.shape[:-1] == scores.shape[:-1] and mask.shape[-1] in (1, scores.shape[-1])
        if not fits or mask.dtype != torch.bool:
            raise ObjectiveError(
                f"a mask of {mask.dtype} and shape {tuple(mask.shape)} does not fit logits of "
                f"shape {tuple(scores.shape)}\n  Loss.mask is boolean and shaped like the logits "
                "without their class dimension, which is the last"
            )
        result = mask if result is None else result & mask
    return result


def _mean(items: Tensor, mask: Tensor | None) -> Mean:
    if mask is None:
        return Mean.of(items)
    if items.dim() < mask.dim():
        if mask.shape[-1] != 1:
            raise ObjectiveError(
                "the mask counts single classes, but this distance is one number over all classes\n"
                '  set kind="multi_label" for separate labels, kind="regression" for values'
            )
        mask = mask.squeeze(-1)
    return Mean.of(items, mask.expand_as(items))


def _report_infinite(mean: Mean, scores: Sequence[Tensor]) -> None:
    if torch.compiler.is_compiling() or not isinf(mean.sum.item()):
        return
    never = [score.isneginf() for score in scores]
    for i, j in combinations(range(len(scores)), 2):
        if alone := int((never[i] ^ never[j]).sum()):
            raise ObjectiveError(
                f"the distance of views {i} and {j} is infinite: {alone} scores are -inf in one of "
                "them only\n  mask the same classes in every view, before the softmax"
            )
