"""The items that a consistency term counts, by whether their rows have a label."""

from collections.abc import Mapping
from typing import Any, Literal, get_args

from torch import Tensor

from dropsmith.errors import ObjectiveError
from dropsmith.passes import Views
from dropsmith.terms import Loss

TermRows = Literal["labelled", "all", "unlabelled"]
"""The rows whose items a term counts: those with a label, all, or those without a label."""
TERM_ROWS: tuple[TermRows, ...] = get_args(TermRows)


def term_mask(views: Views, view: int, loss: Loss, rows: TermRows) -> Tensor | None:
    """The items of one view that a term counts, shaped like the mask of its loss.

    A row has no label where the task loss counts none of its items. In a row with labels the term
    counts what the loss counts; in a row without, every item that the batch's `attention_mask`
    does not call padding.

    Args:
        views: of the step.
        view: the number of the view.
        loss: the task loss of that view.
        rows: which rows the term counts.

    Raises:
        ObjectiveError: it is not known which rows have no label.
    """
    if rows == "labelled":
        return loss.mask
    mask = loss.mask
    if mask is None:
        raise ObjectiveError(
            f'term_rows="{rows}" needs to know which rows have a label, but the task loss counts '
            "every item\n  return a Loss whose mask is False where a row has no label, as "
            "losses.classification does for the label -100"
        )
    known_rows = views.rows if view == 0 else views.shared_rows
    if mask.dim() < 1 or known_rows not in (None, len(mask)):
        raise ObjectiveError(
            f"cannot tell which of {known_rows} rows have no label from a mask of shape "
            f"{tuple(mask.shape)}\n  return a mask whose first dimension is the batch"
        )
    unlabelled = _unlabelled_items(mask, views.logits[view], views.batches[view])
    return unlabelled if rows == "unlabelled" else mask | unlabelled


def _unlabelled_items(mask: Tensor, scores: Tensor, batch: Any) -> Tensor:
    if mask.dim() == 1:
        return ~mask
    without_label = ~mask.flatten(1).any(1)
    items = without_label.view(-1, *[1] * (mask.dim() - 1)).expand_as(mask)
    padding = batch.get("attention_mask") if isinstance(batch, Mapping) else None
    has_tokens = mask.dim() == scores.dim() - 1  # else an item is a label, and no token
    if has_tokens and isinstance(padding, Tensor) and padding.shape == mask.shape:
        items = items & (padding != 0)
    return items
